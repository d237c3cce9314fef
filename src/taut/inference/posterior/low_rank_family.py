"""Low-rank Gaussians for `sample_average_approximation`, started from a mean-field one.

The start's average curvature H, in units of its scales, tells the directions in which the posterior
is wider than independent coordinates say. Along the r eigenvectors of H with the smallest eigenvalues
l < 1, U = v sqrt(1 / l - 1) gives the variance 1 / l that a Gaussian posterior has there.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core.optimum import Optimum
from taut.guides import AtFeatures, LowRankGaussian
from taut.inference.posterior.draw_buffer import DrawBuffer
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank import LowRank, low_rank_objective, maximise_low_rank
from taut.inference.posterior.natural_gradient import natural_gradient_ascent
from taut.inference.posterior.sample_average import AbstractSampleAverageFamily
from taut.inference.posterior.spherical_radial import spherical_radial
from taut.inference.stages import UNKEPT, AbstractStages

__all__ = ["LowRankFamily"]

_LEAST = 1e-4  # of an eigenvalue of H: a factor of a hundred in a standard deviation
_SEED = 0.05  # size of columns of U that start without a direction: at 0 their gradient vanishes


@dataclass(frozen=True)
class LowRankFamily(AbstractSampleAverageFamily):
    """Low-rank Gaussians for `sample_average_approximation`.

    Attributes:
        log_density: log p(x, z).
        dim: d.
        rank: r.
        stages: of which every maximisation is one.
    """

    log_density: LogDensity
    dim: int
    rank: int
    stages: AbstractStages = UNKEPT

    def start(self, fitted: Gaussian, draws: Float[np.ndarray, "K D"]) -> LowRank:
        """A start from a fitted mean-field Gaussian.

        Arguments:
            fitted: with a diagonal L.
            draws: of this family; their first d columns average the curvature.
        """
        scale = np.diagonal(fitted.tril)
        found = natural_gradient_ascent(
            *self.log_density.program(self.dim), fitted.mean, fitted.tril,
            *DrawBuffer.of(draws[:, : self.dim], self.log_density.most), 0.0, 1, diagonal=True,
        )  # fmt: skip
        values = np.asarray(found.curvature)[: self.rank]  # ascending
        wider = np.sqrt(1 / np.clip(values, _LEAST, 1.0) - 1)
        factor = np.asarray(found.directions)[:, : self.rank] * np.maximum(wider, _SEED)
        # The scales of a mean-field optimum are conditional ones: those of z given the rest.
        return LowRank(fitted.mean, scale, factor)

    def draws(self, generator: np.random.Generator, size: int) -> Float[np.ndarray, "K D"]:
        return spherical_radial(generator, size, self.dim + self.rank)

    def num_draws(self, size: int) -> int:
        return 2 * (self.dim + self.rank) * size

    def value(self, guide: LowRank, draws: Float[np.ndarray, "K D"]) -> float:
        x = np.concatenate([np.zeros(self.dim), np.log(guide.scale), guide.factor.ravel()])
        return low_rank_objective(self.log_density, guide, draws)(x)[0]

    def maximise(
        self, guide: LowRank, draws: Float[np.ndarray, "K D"], *, tolerance: float
    ) -> Optimum:
        return self.stages.once(
            Optimum.like(guide), lambda: self._maximised(guide, draws, tolerance)
        )

    def _maximised(
        self, guide: LowRank, draws: Float[np.ndarray, "K D"], tolerance: float
    ) -> Optimum:
        return maximise_low_rank(self.log_density, guide, draws, tolerance=tolerance)

    def distance(self, first: LowRank, second: LowRank) -> float:
        return float(np.max(np.abs(first.mean - second.mean) / second.dense.scale))

    def sample(
        self, guide: LowRank, generator: np.random.Generator, count: int
    ) -> Float[np.ndarray, "K d"]:
        return guide.dense.sample(generator, count)

    def log_q(self, guide: LowRank, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        return guide.dense.log_prob(z)

    def moments(self, guide: LowRank) -> Gaussian:
        return guide.dense

    def guide(self, guide: LowRank) -> AtFeatures:
        features = np.concatenate([guide.mean, np.log(guide.scale), guide.factor.ravel()])
        return AtFeatures(jnp.asarray(features), LowRankGaussian(self.dim, self.rank))
