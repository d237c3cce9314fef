"""Natural-gradient ascent of a Gaussian's sample-average ELBO, as one compiled loop.

    f(m, L) = (1/K) sum_k log p(x, m + L e_k) + sum_j log L_jj + (d/2) log(2 pi e),       e_k fixed

In the coordinates u = L^{-1} (z - m), with g_k = L^T grad log p at the k-th draw,

    a = (1/K) sum_k g_k,        A = (1/K) sum_k g_k e_k^T,

f is stationary where a = 0 and the lower triangle of A is that of -I. A is the average curvature
(Stein's identity), so one step

    precision  P = I + rho (-A - I),        mean  rho P^{-1} a,        L <- L chol(P^{-1})

maximises f where log p is quadratic and the draws are balanced: natural-gradient ascent with step
rho. It is halved until f rises. A has the curvature of every pair of coordinates, so a mean-field
guide moves its mean by a Newton step too, and its scales by the diagonal alone. Nothing depends on
the scale of z.

The draws stand in a buffer of fixed capacity (`DrawBuffer`), of which the loop reads as many chunks as
are filled.

Sources: Opper and Archambeau 2009 (stationarity); Khan and Rue 2023, section 3 (natural gradients).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from taut.core.compiling import quick_jit

__all__ = ["NaturalGradientResult", "ascend", "natural_gradient_ascent"]

_LEAST, _MOST = 0.1, 100.0  # of precision in one step: scales grow by 3 or shrink by 10
_RADIUS = 3.0  # standard deviations per coordinate that the mean moves in one step
_REACH = 1e6  # factor on both limits at most, quadrupled by every full step
_LEAST_STEP = 1e-8
_UNBOUNDED = 1e15  # widening before it is endless: more than any units, less than rounding spoils
# Widening, half of it in the last half of the steps, that is more than slow convergence.
_SPREAD = 1e3


class NaturalGradientResult(NamedTuple):
    """Where natural-gradient ascent ended.

    Attributes:
        mean: (d,).
        tril: L, (d, d).
        first: f at the start, nats.
        value: f at the end.
        num_steps: evaluations of f and its gradient.
        converged: whether the decrement fell below the tolerance.
        unbounded: whether f rises without end along a direction that only widens.
        curvature: eigenvalues of the symmetric part of -A at the end, (d,).
        directions: its eigenvectors, in columns, (d, d).
    """

    mean: Float[Array, " d"]
    tril: Float[Array, "d d"]
    first: Float[Array, ""]
    value: Float[Array, ""]
    num_steps: Int[Array, ""]
    converged: Bool[Array, ""]
    unbounded: Bool[Array, ""]
    curvature: Float[Array, " d"]
    directions: Float[Array, "d d"]


class _Moments(NamedTuple):
    value: Array
    a: Array
    A: Array


class _Quadratic(NamedTuple):
    """f around the guide in hand: gradient along the eigenvectors of the curvature, spread (what the
    scales answer to: its eigenvalues or its diagonal), and the gain of one more step, nats."""

    along: Array
    values: Array
    vectors: Array
    spread: Array
    decrement: Array


class _State(NamedTuple):
    here: tuple[Array, Array]
    there: tuple[Array, Array]
    model: _Quadratic
    value: Array
    first: Array
    rho: Array
    reach: Array
    steps: Array
    halfway: Array
    unbounded: Array


def ascend(
    log_joint: Callable,
    arrays: Any,
    mean: Float[Array, " d"],
    tril: Float[Array, "d d"],
    chunks: Float[Array, "C W d"],
    num_draws: Int[Array, ""],
    tolerance: Float[Array, ""],
    max_steps: Int[Array, ""],
    *,
    diagonal: bool,
) -> NaturalGradientResult:
    """Maximise f from N(mean, L L^T).

    Arguments:
        log_joint: (z, arrays) -> log p(x, z), nats.
        arrays: its second argument.
        mean: (d,).
        tril: L, (d, d); diagonal if `diagonal`.
        chunks: as in `DrawBuffer`.
        num_draws: K.
        tolerance: of the decrement, nats.
        max_steps: evaluations of f at most; with 1 nothing moves.
        diagonal: whether L stays diagonal (mean-field).
    """
    d = mean.shape[0]

    def moments(guide: tuple[Array, Array]) -> _Moments:
        return _moments(partial(_both, log_joint, arrays), guide, chunks, num_draws)

    def going(state: _State) -> Array:
        moving = jnp.isfinite(state.value) & (state.steps < max_steps) & (state.rho > _LEAST_STEP)
        moving &= (state.model.decrement >= tolerance) & ~state.unbounded
        return (state.steps == 0) | moving

    def step(state: _State) -> _State:
        tried, starting = moments(state.there), state.steps == 0
        better = (tried.value >= state.value) | starting
        widening = state.model.spread.min() < _LEAST
        full = state.rho == 1.0
        model = jax.lax.cond(
            better, lambda: _quadratic(tried, diagonal=diagonal), lambda: state.model
        )
        shrunk = jnp.maximum(state.reach / 16, 1.0)
        wide = state.reach > 1.0
        risen = jnp.where(full, jnp.minimum(4 * state.reach, _REACH), state.reach)
        reach = jnp.where(better, risen, jnp.where(wide, shrunk, state.reach))
        slower = jnp.where(wide, state.rho, state.rho / 2)
        rho = jnp.where(better, jnp.minimum(2 * state.rho, 1.0), slower)
        reach, rho = jnp.where(starting, 1.0, reach), jnp.where(starting, 1.0, rho)
        here = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.there, state.here)
        flat = ~better & (rho < _LEAST_STEP) & widening & (tried.value == -jnp.inf)
        steps = state.steps + 1
        return _State(
            here,
            _moved(here, model, rho, reach, diagonal=diagonal),
            model,
            jnp.where(better, tried.value, state.value),
            jnp.where(starting, tried.value, state.first),
            rho, reach, steps,
            jnp.where(steps <= max_steps // 2, _width(here), state.halfway),
            (_width(here) > _UNBOUNDED * _width(start)) | flat,
        )  # fmt: skip

    one, zero = jnp.ones((), mean.dtype), jnp.zeros((), mean.dtype)
    unknown = _Quadratic(mean, jnp.ones(d), jnp.eye(d), jnp.ones(d), jnp.full((), jnp.inf))
    start = (mean, tril)
    low = jnp.full((), -jnp.inf)
    end = jax.lax.while_loop(going, step, _State(
        start, start, unknown, low, low, one, one, jnp.zeros((), int), zero, zero > 0,
    ))  # fmt: skip
    converged = jnp.isfinite(end.value) & (end.model.decrement < tolerance) & ~end.unbounded
    width = _width(end.here)
    spreading = (width > 2 * end.halfway) & (width > _SPREAD * _width(start)) & ~converged
    unbounded = end.unbounded | (end.value == jnp.inf) | (spreading & (end.steps >= max_steps))
    return NaturalGradientResult(
        *end.here,
        end.first,
        end.value,
        end.steps,
        converged,
        unbounded,
        end.model.values,
        end.model.vectors,
    )


natural_gradient_ascent = quick_jit(ascend, static=1)


def _both(log_joint: Callable, arrays: Any, z: Array) -> tuple[Array, Array]:
    return jax.vmap(jax.value_and_grad(log_joint), in_axes=(0, None))(z, arrays)


def _moments(
    both: Callable, guide: tuple[Array, Array], chunks: Array, num_draws: Array
) -> _Moments:
    """f, a and A; f is inf where some log p is, and -inf where some value cannot be used."""
    mean, tril = guide
    d, width = mean.shape[0], chunks.shape[1]

    def chunk(i: Array, sums: tuple) -> tuple:
        draws = jax.lax.dynamic_index_in_dim(chunks, i, keepdims=False)
        used = i * width + jnp.arange(width) < num_draws
        values, gradients = both(mean + draws @ tril.T)
        endless = jnp.any(values == jnp.inf)
        bad = jnp.any(jnp.isnan(values)) | ~jnp.all(jnp.isfinite(gradients))
        inner = jnp.where(used[:, None], gradients @ tril, 0.0)
        parts = (jnp.sum(jnp.where(used, values, 0.0)), inner.sum(axis=0), inner.T @ draws)
        added = tuple(s + p for s, p in zip(sums[:3], parts, strict=True))
        return (*added, sums[3] | endless, sums[4] | bad)

    no = jnp.zeros((), bool)
    zeros = (jnp.zeros(()), jnp.zeros(d), jnp.zeros((d, d)), no, no)
    value, a, A, endless, bad = jax.lax.fori_loop(0, -(-num_draws // width), chunk, zeros)
    usable = ~(endless | bad)
    entropy = jnp.log(jnp.diagonal(tril)).sum() + 0.5 * d * (1 + np.log(2 * np.pi))
    broken = jnp.where(endless, jnp.inf, -jnp.inf)
    return _Moments(
        jnp.where(usable, value / num_draws + entropy, broken),
        jnp.where(usable, a / num_draws, 0.0),
        jnp.where(usable, A / num_draws, -jnp.eye(d)),
    )


def _quadratic(moments: _Moments, *, diagonal: bool) -> _Quadratic:
    curvature = -(jnp.tril(moments.A) + jnp.tril(moments.A, -1).T)
    values, vectors = jnp.linalg.eigh(curvature, symmetrize_input=False)
    spread = jnp.diagonal(curvature) if diagonal else values
    along = vectors.T @ moments.a
    decrement = 0.5 * jnp.sum(along**2 / _positive(values)) + 0.25 * jnp.sum((spread - 1) ** 2)
    return _Quadratic(along, values, vectors, spread, decrement)


def _moved(
    here: tuple[Array, Array], model: _Quadratic, rho: Array, reach: Array, *, diagonal: bool
) -> tuple[Array, Array]:
    """The Gaussian after a step of length rho."""
    mean, tril = here
    precision = 1 + rho * (jnp.clip(model.spread, _LEAST / reach, _MOST * reach) - 1)
    if diagonal:
        inner, newton = jnp.diag(precision**-0.5), _positive(model.values)
    else:
        inner = jnp.linalg.cholesky(
            (model.vectors / precision) @ model.vectors.T, symmetrize_input=False
        )
        newton = precision
    along = model.along / newton
    length = jnp.sqrt(jnp.sum(newton * along**2))
    farthest = reach * _RADIUS * np.sqrt(len(along))
    along *= rho * jnp.minimum(1.0, farthest / jnp.maximum(length, 1e-30))
    return mean + tril @ (model.vectors @ along), tril @ inner


def _positive(values: Array) -> Array:
    """Curvatures made positive: sizes, and none below a millionth of the largest."""
    size = jnp.abs(values)
    return jnp.maximum(size, jnp.maximum(1e-6 * size.max(), 1e-12))


def _width(guide: tuple[Array, Array]) -> Array:
    return jnp.linalg.norm(guide[1], axis=1).max()
