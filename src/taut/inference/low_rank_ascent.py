"""Low-rank Gaussians that climb their sample-average ELBO by L-BFGS.

    z_k = m + s (e_k + U h_k),      (e_k, h_k) in R^d x R^r fixed,      Sigma = S (I + U U^T) S
    f = (1/K) sum_k log p(x, z_k) + sum_j log s_j + log det(I + U^T U) / 2 + (d/2) log(2 pi e)

With g_k = grad log p at z_k, the gradients are means over draws,

    m: g_k        log s: s g_k (e_k + U h_k) + 1        U: s g_k h_k^T + U (I + U^T U)^{-1}

so the log-density's own gradient is all that is compiled. The start is a fitted mean-field Gaussian:
its average curvature H, in units of its scales, tells the directions in which the posterior is wider
than independent coordinates say. Along the r eigenvectors of H with the smallest eigenvalues l < 1,
U = v sqrt(1 / l - 1) gives the variance 1 / l that a Gaussian posterior has there.

The family is that of Ong, Nott and Smith 2018, with U in units of s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.guides import AtFeatures, LowRankGaussian
from taut.inference.gaussian_ascent import Gaussian
from taut.inference.log_density import LogDensity
from taut.inference.newton_climb import Filled, climb
from taut.inference.quasi_newton import rise
from taut.inference.quick_compile import quick_jit
from taut.inference.sample_average import AbstractAscent, Ascended
from taut.inference.spherical_radial import spherical_radial

__all__ = ["LowRank", "LowRankAscent"]

_MAX_STEPS = 1000
_LEAST = 1e-4  # of an eigenvalue of H: a factor of a hundred in a standard deviation
_SEED = 0.05  # size of columns of U that start without a direction: at 0 their gradient vanishes


class LowRank(NamedTuple):
    """N(mean, S (I + U U^T) S).

    Attributes:
        mean: (d,).
        scale: s, (d,).
        factor: U, (d, r).
    """

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d r"]

    @property
    def dense(self) -> Gaussian:
        """The same Gaussian with its Cholesky factor."""
        inner = np.eye(len(self.mean)) + self.factor @ self.factor.T
        return Gaussian(self.mean, self.scale[:, None] * np.linalg.cholesky(inner))


@dataclass(frozen=True)
class LowRankAscent(AbstractAscent):
    """Low-rank Gaussians for `sample_average`.

    Attributes:
        log_density: log p(x, z).
        dim: d.
        rank: r.
    """

    log_density: LogDensity
    dim: int
    rank: int

    def start(self, fitted: Gaussian, draws: Float[np.ndarray, "K D"]) -> LowRank:
        """A start from a fitted mean-field Gaussian.

        Arguments:
            fitted: with a diagonal L.
            draws: of this family; their first d columns average the curvature.
        """
        scale = np.diagonal(fitted.tril)
        found = climb(
            self.log_density.function, self.log_density.arrays, fitted.mean, fitted.tril,
            *Filled.of(draws[:, : self.dim], self.log_density.most), 0.0, 1, diagonal=True,
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
        return self._function(guide, draws)(_flat(guide))[0]

    def maximise(
        self, guide: LowRank, draws: Float[np.ndarray, "K D"], *, tolerance: float
    ) -> Ascended:
        start = _flat(guide)
        risen = rise(self._function(guide, draws), start, tolerance=tolerance, max_steps=_MAX_STEPS)
        found = self._shaped(risen.x, guide)
        return Ascended(found, risen.value, risen.num_steps, risen.converged, risen.first)

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

    def _shaped(self, x: Float[np.ndarray, " n"], origin: LowRank) -> LowRank:
        mean, log_scale, factor = np.split(x, [self.dim, 2 * self.dim])
        moved = origin.mean + origin.scale * mean
        return LowRank(moved, np.exp(log_scale), factor.reshape(self.dim, self.rank))

    def _function(self, origin: LowRank, draws: np.ndarray) -> Callable:
        """f and its gradient in the mean in units of the origin, log s, and U."""
        filled = jax.device_put(Filled.of(draws, self.log_density.most))

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            guide = self._shaped(x, origin)
            value, *gradients = _averages(
                self.log_density.function, self.log_density.arrays, *guide, *filled
            )
            inner = np.eye(self.rank) + guide.factor.T @ guide.factor
            value = float(value) + np.log(guide.scale).sum() + 0.5 * np.linalg.slogdet(inner)[1]
            value += 0.5 * self.dim * (1 + np.log(2 * np.pi))
            mean, log_scale, factor = map(np.asarray, gradients)
            slope = np.concatenate([
                origin.scale * mean, log_scale + 1,
                (factor + guide.factor @ np.linalg.inv(inner)).ravel(),
            ])  # fmt: skip
            if not (np.isfinite(value) and np.isfinite(slope).all()):
                return -np.inf, np.zeros_like(x)
            return float(value), slope

        return function


def _flat(guide: LowRank) -> Float[np.ndarray, " n"]:
    """A guide in its own units: mean 0."""
    zero = np.zeros_like(guide.mean)
    return np.concatenate([zero, np.log(guide.scale), guide.factor.ravel()])


def _sums(
    log_joint: Callable,
    arrays: Any,
    mean: Array,
    scale: Array,
    factor: Array,
    chunks: Array,
    num_draws: Array,
) -> tuple[Array, ...]:
    """Means over draws of log p and its gradients in m, log s and U; not finite where one is not."""
    d, width = mean.shape[0], chunks.shape[1]
    both = jax.vmap(jax.value_and_grad(log_joint), in_axes=(0, None))

    def chunk(i: Array, sums: tuple) -> tuple:
        draws = jax.lax.dynamic_index_in_dim(chunks, i, keepdims=False)
        used = i * width + jnp.arange(width) < num_draws
        shift = draws[:, :d] + draws[:, d:] @ factor.T
        values, gradients = both(mean + scale * shift, arrays)
        gradients = jnp.where(used[:, None], gradients, 0.0)
        inner = gradients * scale
        parts = (
            jnp.sum(jnp.where(used, values, 0.0)), gradients.sum(axis=0),
            jnp.sum(inner * shift, axis=0), inner.T @ draws[:, d:],
        )  # fmt: skip
        return tuple(s + p for s, p in zip(sums, parts, strict=True))

    zeros = (jnp.zeros(()), jnp.zeros(d), jnp.zeros(d), jnp.zeros_like(factor))
    sums = jax.lax.fori_loop(0, -(-num_draws // width), chunk, zeros)
    return tuple(s / num_draws for s in sums)


_averages = quick_jit(_sums, static_argnames=("log_joint",))
