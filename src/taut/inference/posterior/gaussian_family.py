"""Full-rank and mean-field Gaussians, whose sample-average ELBO natural gradients maximise."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core.optimum import Optimum
from taut.guides import AtFeatures, FullRankGaussian, MeanFieldGaussian
from taut.inference.posterior.draw_buffer import DrawBuffer
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank import LowRank, maximise_low_rank
from taut.inference.posterior.natural_gradient import natural_gradient_ascent
from taut.inference.posterior.sample_average import AbstractSampleAverageFamily
from taut.inference.posterior.spherical_radial import spherical_radial
from taut.inference.stages import UNKEPT, AbstractStages

__all__ = ["GaussianFamily", "maximise_gaussian"]

# The Newton step of a mean-field mean needs the average curvature with all its small eigenvalues,
# and the noise of that estimate grows with d. Where it fails, L-BFGS goes on.
_NEWTON_STEPS, _NEWTON_DIM = 50, 50


def maximise_gaussian(
    log_density: LogDensity,
    start: Gaussian,
    draws: Float[np.ndarray, "K d"],
    *,
    diagonal: bool = False,
    tolerance: float,
    max_steps: int = 300,
) -> Optimum:
    """Maximise the sample average over given draws by natural gradients.

    Arguments:
        log_density: log p(x, z).
        start: where to start; its L is diagonal if `diagonal`.
        draws: e_k, (K, d), K > d.
        diagonal: whether L stays diagonal (mean-field).
        tolerance: of the decrement, nats.
        max_steps: evaluations of f at most.
    """
    buffer = DrawBuffer.of(draws, log_density.most)
    end = natural_gradient_ascent(
        *log_density.program(len(start.mean)), start.mean, start.tril, *buffer,
        tolerance, max_steps, diagonal=diagonal,
    )  # fmt: skip
    return Optimum(
        Gaussian(np.asarray(end.mean), np.asarray(end.tril)), float(end.first), float(end.value),
        int(end.num_steps), bool(end.converged), bool(end.unbounded),
    )  # fmt: skip


@dataclass(frozen=True)
class GaussianFamily(AbstractSampleAverageFamily):
    """Full-rank and mean-field Gaussians for `sample_average_approximation`.

    Attributes:
        log_density: log p(x, z).
        dim: d.
        diagonal: whether the guide is mean-field.
        stages: of which every maximisation is one.
    """

    log_density: LogDensity
    dim: int
    diagonal: bool = False
    stages: AbstractStages = UNKEPT

    def draws(self, generator: np.random.Generator, size: int) -> Float[np.ndarray, "K d"]:
        return spherical_radial(generator, size, self.dim)

    def num_draws(self, size: int) -> int:
        return 2 * self.dim * size

    def value(self, guide: Gaussian, draws: Float[np.ndarray, "K d"]) -> float:
        return maximise_gaussian(
            self.log_density, guide, draws, diagonal=self.diagonal, tolerance=0.0, max_steps=1
        ).value

    def maximise(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"], *, tolerance: float
    ) -> Optimum:
        return self.stages.once(
            Optimum.like(guide), lambda: self._maximised(guide, draws, tolerance)
        )

    def _maximised(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"], tolerance: float
    ) -> Optimum:
        if not self.diagonal:
            return maximise_gaussian(self.log_density, guide, draws, tolerance=tolerance)
        steps = _NEWTON_STEPS if self.dim <= _NEWTON_DIM else 1
        newton = maximise_gaussian(
            self.log_density, guide, draws, diagonal=True, tolerance=tolerance, max_steps=steps
        )
        endless = newton.unbounded and newton.num_steps < steps  # else it may be slow
        if newton.converged or endless or not np.isfinite(newton.value):
            return newton
        mean, tril = newton.point
        start = LowRank(mean, np.diagonal(tril), np.zeros((self.dim, 0)))
        end = maximise_low_rank(self.log_density, start, draws, tolerance=tolerance)
        return Optimum(
            Gaussian(end.point.mean, np.diag(end.point.scale)), newton.first, end.value,
            newton.num_steps + end.num_steps, end.converged, end.unbounded,
        )  # fmt: skip

    def curvature(
        self, guide: Gaussian, draws: Float[np.ndarray, "K d"]
    ) -> Float[np.ndarray, " d"]:
        """Eigenvalues of the average curvature of -log p in units of the guide's, 1 at its optimum.

        Along an eigenvector of eigenvalue l the guide would widen by 1 / sqrt(l). Exact where log p is
        quadratic, whatever the second moment of the balanced draws, by which they are divided.
        """
        buffer = DrawBuffer.of(draws, self.log_density.most)
        found = natural_gradient_ascent(
            *self.log_density.program(self.dim), guide.mean, guide.tril, *buffer,
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
