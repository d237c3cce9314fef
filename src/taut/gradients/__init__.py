"""Gradient estimators: one file, one paper each."""

from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.evaluations import Evaluations
from taut.gradients.reparameterized import Reparameterized

__all__ = [
    "ESTIMATORS",
    "AbstractEstimator",
    "Claim",
    "Evaluations",
    "Reparameterized",
    "Surrogate",
]

ESTIMATORS: dict[str, type[AbstractEstimator]] = {e.name: e for e in (Reparameterized,)}
