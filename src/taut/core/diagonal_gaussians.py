"""Log-densities of one point under many Gaussians of independent dimensions.

    log N_k(z) = sum_d [-u_kd^2 / 2 - log s_kd - log(2 pi) / 2],        u_kd = (z_d - m_kd) / s_kd

Values are sums of these squares. Gradients are sums over points or members of

    -u / s    for z and, with the other sign, for m;        (u^2 - 1) / s    for s

which, multiplied out, are products of matrices: those of the sums as they stand take fifty times as
long. With c the mean of the members' means, multiplying out loses a share eps |m - c| / s of a term for
z or m, and eps (m - c)^2 / s^2 of one for s: where that is more than a thousandth, sums for s go
through the dimensions one by one.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from taut.core.proposals import AbstractProposal, DistributionProposal

__all__ = ["diagonal_gaussian", "gaussian_log_densities"]

_LOST = 1e-3  # at most, of a term
_product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def diagonal_gaussian(q: AbstractProposal) -> tuple[Float[Array, " d"], Float[Array, " d"]] | None:
    """Mean and scales of q, each (d,), where it is a Gaussian of independent dimensions; else None."""
    if not isinstance(q, DistributionProposal):
        return None
    q_z = q.distribution
    inside = q_z.base_dist if isinstance(q_z, dist.Independent) else None
    if not isinstance(inside, dist.Normal) or len(q_z.event_shape) != 1 or q_z.batch_shape:
        return None
    mean, scales = jnp.asarray(inside.loc), jnp.asarray(inside.scale)
    return jnp.broadcast_to(mean, q_z.event_shape), jnp.broadcast_to(scales, q_z.event_shape)


@jax.custom_jvp
def gaussian_log_densities(
    z: Float[Array, " d"], means: Float[Array, "K d"], scales: Float[Array, "K d"]
) -> Float[Array, " K"]:
    """log N(z; m_k, diag(s_k^2)) for each of K members, (K,); nats, exact.

    Arguments:
        z: a point, (d,).
        means: m_k, (K, d).
        scales: s_k, (K, d), positive.
    """
    return dist.Normal(means, scales).to_event(1).log_prob(z)


@partial(gaussian_log_densities.defjvp, symbolic_zeros=True)
def _log_densities_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    z, means, scales = primals
    precisions = 1 / scales**2
    origin = jax.lax.stop_gradient(jnp.mean(means, axis=0))
    at, centers = z - origin, means - origin
    rules = (
        lambda t: _product(precisions * centers, t) - _product(precisions, at * t),
        lambda t: _product(precisions * t, at) - jnp.sum(precisions * centers * t, axis=1),
        lambda t: _by_scales(t, at, centers, scales),
    )
    parts = [
        rule(tangent)
        for rule, tangent in zip(rules, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return gaussian_log_densities(*primals), sum(parts)


def _by_scales(
    tangent: Float[Array, "K d"],
    at: Float[Array, " d"],
    centers: Float[Array, "K d"],
    scales: Float[Array, "K d"],
) -> Float[Array, " K"]:
    """sum_d of (u_kd^2 - 1) / s_kd times the tangent of s_kd."""

    def multiplied_out(tangent: Array) -> Array:
        weights = tangent / scales**3
        crossed = _product(weights, at**2) - 2 * _product(weights * centers, at)
        return crossed + jnp.sum(weights * centers**2 - tangent / scales, axis=1)

    @jax.checkpoint  # or all squares would be kept, also where products serve
    def one_by_one(tangent: Array) -> Array:
        def step(found: Array, dimension: Any) -> tuple[Array, None]:
            z, mean, scale, t = dimension
            return found + (((z - mean) / scale) ** 2 - 1) / scale * t, None

        found = jnp.zeros(len(scales), scales.dtype)
        return jax.lax.scan(step, found, (at, centers.T, scales.T, tangent.T), unroll=4)[0]

    lost = jnp.finfo(scales.dtype).eps * jnp.max((centers / scales) ** 2)
    return jax.lax.cond(lost < _LOST, multiplied_out, one_by_one, tangent)
