"""Models p(x, z): priors, likelihoods, and what joins them."""

from taut.models.latent_variable import LatentVariableModel
from taut.models.likelihoods import (
    LIKELIHOODS,
    AbstractLikelihood,
    choose_likelihood,
    make_likelihood,
)
from taut.models.priors import PRIORS, AbstractPrior, FixedPrior, StandardNormal
from taut.models.units import Units

__all__ = [
    "LIKELIHOODS",
    "PRIORS",
    "AbstractLikelihood",
    "AbstractPrior",
    "FixedPrior",
    "LatentVariableModel",
    "StandardNormal",
    "Units",
    "choose_likelihood",
    "make_likelihood",
]
