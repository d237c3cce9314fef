"""Priors p(z)."""

from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.fixed import FixedPrior
from taut.models.priors.mixture import MixtureOfGaussians
from taut.models.priors.registry import PRIORS, check_prior, make_prior
from taut.models.priors.standard_normal import StandardNormal

__all__ = [
    "PRIORS",
    "AbstractPrior",
    "FixedPrior",
    "MixtureOfGaussians",
    "StandardNormal",
    "check_prior",
    "make_prior",
]
