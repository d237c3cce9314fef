"""The Laplace approximation: N(mode, H^{-1}), H = -d^2 log p(x, z) / dz^2 at the mode.

Newton ascent in coordinates that the last curvature whitens; H is the central difference of the
gradient in those, which needs no second program beside the log-density and its gradient. Its error
is of the order of the square of the step. In directions of negative curvature the step is that of its
size; where such directions remain they are reported, since z has no mode there, and the guide is damped
to a proper one.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity

__all__ = ["LaplaceApproximation", "laplace"]

# Of the differences, in standard deviations: the cube root of float64's rounding is 6e-6.
_STEP = 1e-3
_FLOOR = 1e-6  # of curvature, relative to the last whitening
_UNBOUNDED = 1e12  # standard deviation of a guide that widens without end


class LaplaceApproximation(NamedTuple):
    """A mode with its curvature, as a Gaussian.

    Attributes:
        guide: the Gaussian.
        value: the log-density at the last step's start, nats.
        num_steps: Newton steps.
        num_negative: directions in which the log-density does not curve downwards at the end.
        converged: whether Newton's decrement fell below the tolerance.
        unbounded: whether the log-density does not fall however far Newton's method goes.
    """

    guide: Gaussian
    value: float
    num_steps: int
    num_negative: int
    converged: bool
    unbounded: bool

    @classmethod
    def like(cls, z: Float[np.ndarray, " d"]) -> "LaplaceApproximation":
        """One of the form that an approximation from this z has."""
        return cls(Gaussian(z, np.eye(len(z))), 0.0, 0, 0, False, False)


def laplace(
    log_density: LogDensity,
    start: Float[np.ndarray, " d"],
    *,
    tolerance: float = 1e-6,
    max_steps: int = 200,
) -> LaplaceApproximation:
    """The approximation at the mode that Newton's method reaches from a start.

    Arguments:
        log_density: log p(x, z).
        start: z to start from, (d,).
        tolerance: nats that a Newton step may still promise.
        max_steps: Newton steps at most.
    """
    d = len(start)
    mean, tril, negative, converged, step = start, np.eye(d), d, False, 0
    value, unbounded = -np.inf, False
    while step < max_steps and not (converged or unbounded):
        step += 1
        offsets = _STEP * np.concatenate([np.zeros((1, d)), np.eye(d), -np.eye(d)])
        values, gradients = log_density(mean + offsets @ tril.T)
        value, inner = float(values[0]), gradients @ tril
        curvature = -(inner[1 : d + 1] - inner[d + 1 :]) / (2 * _STEP)
        if not np.isfinite(curvature).all() or not np.isfinite(values[0]):
            break
        eigenvalues, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        # Where the curvature is lost in rounding, the next whitening is wider and looks again.
        flat = bool(np.any(np.abs(eigenvalues) <= _FLOOR))
        negative = int(np.sum(eigenvalues <= _FLOOR))
        size = np.maximum(np.abs(eigenvalues), _FLOOR)
        along = (vectors.T @ inner[0]) / size
        converged = bool(0.5 * np.sum(size * along**2) < tolerance) and not flat
        move = tril @ (vectors @ along)
        rates = 0.5 ** np.arange(0 if converged else 30)
        if len(rates):
            tried, _ = log_density(mean + rates[:, None] * move)
            better = tried > values[0]
            if better.any():
                mean = mean + rates[np.argmax(better)] * move
            elif not flat:
                break
        tril = tril @ np.linalg.cholesky((vectors / size) @ vectors.T)
        unbounded = bool(negative and np.linalg.norm(tril, axis=1).max() > _UNBOUNDED)
    return LaplaceApproximation(Gaussian(mean, tril), value, step, negative, converged, unbounded)
