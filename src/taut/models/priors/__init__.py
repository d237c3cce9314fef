"""Priors p(z)."""

from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.codebook import CodebookPrior
from taut.models.priors.factorized import FactorizedPrior
from taut.models.priors.fixed import FixedPrior
from taut.models.priors.flow import FlowPrior
from taut.models.priors.layered import LayeredPrior
from taut.models.priors.mixture import MixtureOfGaussians
from taut.models.priors.product import ProductPrior
from taut.models.priors.registry import PRIORS, check_prior, make_prior
from taut.models.priors.standard_normal import StandardNormal
from taut.models.priors.vamp import VampPrior

__all__ = [
    "PRIORS",
    "AbstractPrior",
    "CodebookPrior",
    "FactorizedPrior",
    "FixedPrior",
    "FlowPrior",
    "LayeredPrior",
    "MixtureOfGaussians",
    "ProductPrior",
    "StandardNormal",
    "VampPrior",
    "check_prior",
    "make_prior",
]
