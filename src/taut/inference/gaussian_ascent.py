"""Full-rank and mean-field Gaussians that climb their sample-average ELBO by `newton_climb`."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from taut.core import RunError
from taut.guides import AtFeatures, FullRankGaussian, MeanFieldGaussian
from taut.inference.log_density import LogDensity
from taut.inference.newton_climb import Filled, climb
from taut.inference.sample_average import AbstractAscent, Ascended
from taut.inference.spherical_radial import spherical_radial

__all__ = ["Gaussian", "GaussianAscent", "ascend", "improper"]


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


def ascend(
    log_density: LogDensity,
    start: Gaussian,
    draws: Float[np.ndarray, "K d"],
    *,
    diagonal: bool = False,
    tolerance: float,
    max_steps: int = 300,
) -> Ascended:
    """Maximise the sample average over given draws.

    Arguments:
        log_density: log p(x, z).
        start: where to start; its L is diagonal if `diagonal`.
        draws: e_k, (K, d), K > d.
        diagonal: whether L stays diagonal (mean-field).
        tolerance: of the decrement, nats.
        max_steps: evaluations of f at most.

    Raises:
        RunError: f rises without end along a direction that only widens.
    """
    filled = Filled.of(draws, log_density.most)
    climbed = climb(
        log_density.function, log_density.arrays, start.mean, start.tril, *filled,
        tolerance, max_steps, diagonal=diagonal,
    )  # fmt: skip
    found = Gaussian(np.asarray(climbed.mean), np.asarray(climbed.tril))
    if climbed.runaway:
        raise improper(found, float(climbed.value))
    return Ascended(
        found, float(climbed.value), int(climbed.num_steps), bool(climbed.converged),
        float(climbed.first),
    )  # fmt: skip


def improper(guide: Gaussian, value: float) -> RunError:
    """The error of a bound that rises without end.

    Arguments:
        guide: the last one; its widest coordinate is named.
        value: of the bound there, nats.
    """
    scales = guide.scale
    return RunError(
        "a bound that stops rising: a posterior of finite mass",
        f"{value:.6g} nats and rising while coordinate {int(scales.argmax())} of z widens, at "
        f"standard deviation {scales.max():.1g}",
        "a proper prior for every parameter",
        where="improper posterior",
    )


@dataclass(frozen=True)
class GaussianAscent(AbstractAscent):
    """Full-rank and mean-field Gaussians for `sample_average`.

    Attributes:
        log_density: log p(x, z).
        dim: d.
        diagonal: whether the guide is mean-field.
    """

    log_density: LogDensity
    dim: int
    diagonal: bool = False

    def draws(self, generator: np.random.Generator, size: int) -> Float[np.ndarray, "K d"]:
        return spherical_radial(generator, size, self.dim)

    def num_draws(self, size: int) -> int:
        return 2 * self.dim * size

    def value(self, guide: Gaussian, draws: Float[np.ndarray, "K d"]) -> float:
        return ascend(
            self.log_density, guide, draws, diagonal=self.diagonal, tolerance=0.0, max_steps=1
        ).value

    def maximise(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"], *, tolerance: float
    ) -> Ascended:
        return ascend(self.log_density, guide, draws, diagonal=self.diagonal, tolerance=tolerance)

    def distance(self, first: Gaussian, second: Gaussian) -> float:
        return float(np.max(np.abs(first.mean - second.mean) / second.scale))

    def sample(
        self, guide: Gaussian, generator: np.random.Generator, count: int
    ) -> Float[np.ndarray, "K d"]:
        return guide.sample(generator, count)

    def log_q(self, guide: Gaussian, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        return guide.log_prob(z)

    def moments(self, guide: Gaussian) -> Gaussian:
        return guide

    def guide(self, guide: Gaussian) -> AtFeatures:
        mean, diagonal = guide.mean, np.log(np.diagonal(guide.tril))
        if self.diagonal:
            return AtFeatures(jnp.concatenate([mean, diagonal]), MeanFieldGaussian(self.dim))
        lower = guide.tril[np.tril_indices(self.dim, -1)]
        return AtFeatures(jnp.concatenate([mean, diagonal, lower]), FullRankGaussian(self.dim))
