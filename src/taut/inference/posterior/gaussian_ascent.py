"""Full-rank and mean-field Gaussians that climb their sample-average ELBO by `newton_climb`."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.guides import AtFeatures, FullRankGaussian, MeanFieldGaussian
from taut.inference.posterior.gaussian import Gaussian, improper
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank_climb import LowRank, climb_low_rank
from taut.inference.posterior.natural_gradient import Filled, climb
from taut.inference.posterior.sample_average import AbstractAscent, Ascended
from taut.inference.posterior.spherical_radial import spherical_radial

__all__ = ["GaussianAscent", "ascend"]

# The Newton step of a mean-field mean needs the average curvature with all its small eigenvalues,
# and the noise of that estimate grows with d. Where it fails, L-BFGS goes on.
_NEWTON_STEPS, _NEWTON_DIM = 50, 50


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
        if not self.diagonal:
            return ascend(self.log_density, guide, draws, tolerance=tolerance)
        steps = _NEWTON_STEPS if self.dim <= _NEWTON_DIM else 1
        newton = ascend(
            self.log_density, guide, draws, diagonal=True, tolerance=tolerance, max_steps=steps
        )
        if newton.converged or not np.isfinite(newton.value):
            return newton
        mean, tril = newton.guide
        begun = LowRank(mean, np.diagonal(tril), np.zeros((self.dim, 0)))
        risen = climb_low_rank(self.log_density, begun, draws, tolerance=tolerance)
        found = Gaussian(risen.guide.mean, np.diag(risen.guide.scale))
        return Ascended(
            found, risen.value, newton.num_steps + risen.num_steps, risen.converged, newton.first
        )

    def curvature(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"]
    ) -> Float[np.ndarray, " d"]:
        """Eigenvalues of the average curvature of -log p in units of the guide's, 1 at its optimum.

        Along an eigenvector of eigenvalue l the guide would widen by 1 / sqrt(l). Exact where log p is
        quadratic, whatever the second moment of the balanced draws, by which they are divided.
        """
        filled = Filled.of(draws, self.log_density.most)
        found = climb(
            self.log_density.function, self.log_density.arrays, guide.mean, guide.tril, *filled,
            0.0, 1, diagonal=False,
        )  # fmt: skip
        return np.asarray(found.curvature) / np.mean(draws**2)

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
