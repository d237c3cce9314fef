"""L-BFGS ascent of a low-rank Gaussian's sample-average ELBO.

    z_k = m + s (e_k + U h_k),      (e_k, h_k) in R^d x R^r fixed,      Sigma = S (I + U U^T) S
    f = (1/K) sum_k log p(x, z_k) + sum_j log s_j + log det(I + U^T U) / 2 + (d/2) log(2 pi e)

With g_k = grad log p at z_k, the gradients are means over draws,

    m: g_k        log s: s g_k (e_k + U h_k) + 1        U: s g_k h_k^T + U (I + U^T U)^{-1}

so the log-density's own gradient is all that is compiled. Rank 0 is the mean-field family.

The family is that of Ong, Nott and Smith 2018, with U in units of s.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core.compiling import quick_jit
from taut.core.lbfgs import lbfgs
from taut.core.optimum import Optimum
from taut.inference.posterior.draw_buffer import DrawBuffer
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity

__all__ = ["LowRank", "low_rank_objective", "maximise_low_rank"]

_MAX_STEPS = 1000
_UNBOUNDED = 1e12  # how far a scale widens before it is endless


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


def maximise_low_rank(
    log_density: LogDensity, start: LowRank, draws: Float[np.ndarray, "K D"], *, tolerance: float
) -> Optimum:
    """Maximise f over given draws.

    Arguments:
        log_density: log p(x, z).
        start: where f is finite.
        draws: (e_k, h_k), (K, d + r).
        tolerance: of the decrement, nats.
    """
    x = np.concatenate([np.zeros_like(start.mean), np.log(start.scale), start.factor.ravel()])
    function = low_rank_objective(log_density, start, draws)
    end = lbfgs(function, x, tolerance=tolerance, max_steps=_MAX_STEPS)
    found = _shaped(end.point, start)
    endless = bool((found.scale / start.scale).max() > _UNBOUNDED)
    return end._replace(point=found, unbounded=endless and not end.converged)


def low_rank_objective(
    log_density: LogDensity, origin: LowRank, draws: Float[np.ndarray, "K D"]
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """f and its gradient in the mean in units of the origin, log s, and U, as one flat vector."""
    buffer = jax.device_put(DrawBuffer.of(draws, log_density.most))
    dim, rank = origin.factor.shape
    program = log_density.program(dim)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        guide = _shaped(x, origin)
        value, *gradients = _averages(*program, *guide, *buffer)
        inner = np.eye(rank) + guide.factor.T @ guide.factor
        value = float(value) + x[dim : 2 * dim].sum() + 0.5 * np.linalg.slogdet(inner)[1]
        value += 0.5 * dim * (1 + np.log(2 * np.pi))
        mean, log_scale, factor = map(np.asarray, gradients)
        slope = np.concatenate([
            origin.scale * mean, log_scale + 1,
            (factor + guide.factor @ np.linalg.inv(inner)).ravel(),
        ])  # fmt: skip
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return -np.inf, np.zeros_like(x)
        return float(value), slope

    return function


def _shaped(x: Float[np.ndarray, " n"], origin: LowRank) -> LowRank:
    dim, rank = origin.factor.shape
    mean, log_scale, factor = np.split(x, [dim, 2 * dim])
    scale = np.exp(np.minimum(log_scale, 300.0))  # beyond, squares overflow
    return LowRank(origin.mean + origin.scale * mean, scale, factor.reshape(dim, rank))


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


_averages = quick_jit(_sums, static=1)
