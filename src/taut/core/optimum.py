"""`Optimum`: where the maximisation of a deterministic function ended, whatever the method."""

from typing import Any, NamedTuple

import jax
import numpy as np

__all__ = ["Optimum"]


class Optimum(NamedTuple):
    """The result of one maximisation.

    Attributes:
        point: the argument found: a vector for a function of vectors, a guide for a sample average.
        first: the function at the start; in nats for a sample average.
        value: the function at `point`.
        num_steps: evaluations of the function and its gradient.
        converged: whether the tolerance was met.
        unbounded: whether the function rises without end along a direction in which a guide only widens.
    """

    point: Any
    first: float
    value: float
    num_steps: int
    converged: bool
    unbounded: bool = False

    @classmethod
    def like(cls, point: Any) -> "Optimum":
        """One of the form that a maximisation from this point has."""
        return cls(jax.tree.map(np.asarray, point), 0.0, 0.0, 0, False)
