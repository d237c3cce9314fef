"""A Gaussian over flat z by its Cholesky factor, on the host."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from taut.core import RunError

__all__ = ["Gaussian", "improper"]


class Gaussian(NamedTuple):
    """N(mean, L L^T).

    Attributes:
        mean: (d,).
        tril: L, (d, d), lower triangular with a positive diagonal.
    """

    mean: Float[np.ndarray, " d"]
    tril: Float[np.ndarray, "d d"]

    @property
    def entropy(self) -> float:
        """Nats, exact."""
        d = len(self.mean)
        return float(np.log(np.diagonal(self.tril)).sum() + 0.5 * d * (1 + np.log(2 * np.pi)))

    @property
    def scale(self) -> Float[np.ndarray, " d"]:
        """Standard deviations."""
        return np.linalg.norm(self.tril, axis=1)

    def sample(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "K d"]:
        """Independent draws."""
        return self.mean + generator.standard_normal((count, len(self.mean))) @ self.tril.T

    def log_prob(self, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        """Nats."""
        inner = solve_triangular(self.tril, (z - self.mean).T, lower=True, check_finite=False)
        return 0.5 * len(self.mean) - self.entropy - 0.5 * np.sum(inner**2, axis=0)


def improper(
    guide: Gaussian, value: float, *, num_starts: int = 1, named: Callable[[int], str] | None = None
) -> RunError:
    """The error of an ELBO that rises without end.

    Arguments:
        guide: the last one; its widest coordinate is named.
        value: of the ELBO there, nats.
        num_starts: from how many starts it rose so.
        named: the parameter that a coordinate of z moves; None where they have no names.
    """
    scales = guide.scale
    widest = int(scales.argmax())
    what = f"coordinate {widest} of z" if named is None else f"'{named(widest)}'"
    starts = f", from {num_starts} starts" if num_starts > 1 else ""
    return RunError(
        "a proper posterior, whose ELBO has a maximum",
        f"{value:.6g} nats and rising while {what} widens, at "
        f"standard deviation {scales.max():.1g}{starts}",
        "a proper prior for every parameter",
        where="improper posterior",
    )
