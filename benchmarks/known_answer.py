"""`Case`: a posterior whose moments are known, and quadrature to know them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Case", "quadrature"]


class Case(NamedTuple):
    """A posterior.

    Attributes:
        family: what is difficult about it.
        name: of the case in it.
        program: the NumPyro program.
        data: its arguments.
        mean: of the first parameters, (P,).
        sd: theirs.
        easy: whether it is close to a Gaussian.
    """

    family: str
    name: str
    program: Callable[..., None]
    data: dict[str, Any]
    mean: np.ndarray
    sd: np.ndarray
    easy: bool = False


def quadrature(log_density: Callable, *axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd along each axis of evenly spaced points, from the unnormalized log-density there."""
    grid = np.meshgrid(*axes, indexing="ij")
    with np.errstate(divide="ignore"):
        log_p = log_density(*grid)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    means = np.array([(p * g).sum() for g in grid])
    return means, np.sqrt([(p * (g - m) ** 2).sum() for g, m in zip(grid, means, strict=True)])
