"""Priors p(z)."""

from collections.abc import Callable

from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.fixed import FixedPrior
from taut.models.priors.standard_normal import StandardNormal

__all__ = ["PRIORS", "AbstractPrior", "FixedPrior", "StandardNormal"]

PRIORS: dict[str, Callable[[int], AbstractPrior]] = {p.name: p for p in (StandardNormal,)}
