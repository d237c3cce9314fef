"""Kinds of covariance of a Gaussian mixture."""

from taut.models.exact.covariances.abstract import AbstractCovariance, CovarianceFloor
from taut.models.exact.covariances.diagonal import Diagonal
from taut.models.exact.covariances.full import Full
from taut.models.exact.covariances.spherical import Spherical
from taut.models.exact.covariances.tied import Tied

__all__ = [
    "COVARIANCES",
    "AbstractCovariance",
    "CovarianceFloor",
    "Diagonal",
    "Full",
    "Spherical",
    "Tied",
]

COVARIANCES: dict[str, AbstractCovariance] = {
    c.name: c() for c in (Full, Tied, Diagonal, Spherical)
}
