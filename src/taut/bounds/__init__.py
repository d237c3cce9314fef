"""Bounds on the evidence: functions of `Particles`."""

from taut.bounds.abstract import AbstractBound
from taut.bounds.elbo import ELBO
from taut.bounds.iwae import IWAE
from taut.bounds.renyi import Renyi

__all__ = ["BOUNDS", "ELBO", "IWAE", "AbstractBound", "Renyi"]

BOUNDS: dict[str, type[AbstractBound]] = {b.name: b for b in (ELBO, IWAE, Renyi)}
