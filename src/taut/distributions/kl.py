"""Kullback-Leibler divergence between two distributions, in closed form or sampled.

    KL(q to p) = E_q[log q - log p]        [nats];  +inf where q leaves p's support

Whether there is a closed form depends on types and static shapes only, never on values, so that a
program traces the same way for every parameter. Divergences of factorized distributions add up over
factors:

    KL(prod_d q_d to prod_d p_d) = sum_d KL(q_d to p_d)

The formulas for pairs of families are in `kl_rules` and `gaussian_kl`; this module takes distributions
apart down to them.
"""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import (
    Delta,
    Distribution,
    ExpandedDistribution,
    Independent,
    MaskedDistribution,
)
from numpyro.util import not_jax_tracer

from taut.core import Estimate, InputError, option
from taut.distributions.accurate import accurate
from taut.distributions.gaussian_kl import gaussian_kl
from taut.distributions.inverse_cdf import InverseCDF
from taut.distributions.kl_rules import leaf_rule

__all__ = ["closed_kl", "kl", "kl_per_dimension"]


def kl(
    q: Distribution, p: Distribution, key: PRNGKeyArray | None = None, *, num_draws: int = 10_000
) -> Estimate:
    """KL(q to p) as a number with its error; not for use inside `jax.jit`.

    Arguments:
        q, p: distributions over one space with broadcastable batch shapes; a batch is averaged.
        key: random key, used where there is no closed form.
        num_draws: draws of q per batch element, used with the key; at least 2.

    Returns:
        an `Estimate` in nats: `exact` in closed form; else `unbiased` over draws, and +inf as soon as
        one draw falls outside p's support.

    Raises:
        InputError: no closed form and no key; spaces that differ; a mass function against a density;
            traced parameters.
    """
    closed = closed_kl(q, p)
    if closed is not None:
        if not not_jax_tracer(closed):
            raise InputError("concrete parameters", "traced ones", "`closed_kl`", where="kl")
        return Estimate.from_rows(closed, side="exact", unit="nats")
    names = f"{_described(q)} to {_described(p)}"
    if key is None:
        raise InputError(
            "a random key for a divergence without a closed form",
            f"none for {names}",
            "kl(q, p, jax.random.key(0))",
            where="kl",
        )
    if num_draws < 2:
        raise InputError(
            "at least 2 draws",
            str(num_draws),
            option("num_draws", 10_000),
            where=option("num_draws"),
        )
    if q.is_discrete != p.is_discrete:
        raise InputError(
            "two mass functions or two densities",
            names,
            "a pair over one kind of space: otherwise the divergence is infinite",
            where="kl",
        )
    z = q.sample(key, (num_draws,))
    draws = np.asarray(_log_prob(q, z) - _log_prob(p, z), dtype=np.float64)
    draws = draws.reshape(num_draws, -1)
    finite = np.isfinite(draws).all(axis=0)
    spread = np.where(finite, draws, 0.0).std(axis=0, ddof=1) / np.sqrt(num_draws)
    return Estimate.from_rows(
        draws.mean(axis=0),
        side="unbiased",
        mc_errors=np.where(finite, spread, np.nan),
        unit="nats",
        flags=() if finite.all() else ("support not covered",),
    )


def closed_kl(q: Distribution, p: Distribution) -> Float[Array, "*batch"] | None:
    """KL(q to p) in closed form, in nats; pure, and differentiable with finite gradients.

    Returns:
        the broadcast batch shape; None where there is no rule, which types and static shapes decide.
        +inf where q leaves p's support; a `Delta` against a density is one such case.

    Raises:
        InputError: event shapes that differ, or batch shapes that do not broadcast.
    """
    batch_shape = _common_batch_shape(q, p)
    value = _closed(q, p)
    return None if value is None else jnp.broadcast_to(value, batch_shape)


def kl_per_dimension(q: Distribution, p: Distribution) -> Float[Array, " D"] | None:
    """KL(q to p) of each latent dimension, in nats, where both factorize over the event.

    Returns:
        one entry for each element of the event shape, in row-major order; their sum is `closed_kl`.
        None where q or p does not factorize into univariate families, or these have no rule.

    Raises:
        InputError: as `closed_kl`; a batch shape other than ().
    """
    if _common_batch_shape(q, p) != ():
        raise InputError(
            "distributions over one latent (batch shape ())",
            f"batch shapes {q.batch_shape} and {p.batch_shape}",
            "`jax.vmap` over the batch, or `.to_event()` on both",
            where="kl_per_dimension",
        )
    q_factors, p_factors = _factors(q), _factors(p)
    if q_factors is None or p_factors is None:
        return None
    value = closed_kl(q_factors, p_factors)
    return None if value is None else value.reshape(-1)


def _closed(q: Any, p: Any) -> Array | None:
    """KL(q to p), broadcastable to the common batch shape; None without a rule."""
    if isinstance(q, InverseCDF) or isinstance(p, InverseCDF):
        return closed_kl(_unwrapped(q), _unwrapped(p))
    if isinstance(q, MaskedDistribution) or isinstance(p, MaskedDistribution):
        inner = closed_kl(_unmasked(q), _unmasked(p))
        return None if inner is None else jnp.where(_mask(q) & _mask(p), inner, 0.0)
    point = _point(q)
    if point is not None:
        return _point_kl(*point, p)
    if isinstance(q, ExpandedDistribution) or isinstance(p, ExpandedDistribution):
        return closed_kl(_unexpanded(q), _unexpanded(p))
    if isinstance(q, Independent) and isinstance(p, Independent):
        shared = min(q.reinterpreted_batch_ndims, p.reinterpreted_batch_ndims)
        inner = closed_kl(_peeled(q, shared), _peeled(p, shared))
        return None if inner is None else inner.sum(axis=tuple(range(-shared, 0)))
    rule = leaf_rule(type(q), type(p))
    return gaussian_kl(q, p) if rule is None else rule(q, p)


def _point(d: Any) -> tuple[Array, Array] | None:
    """The atom of a Delta and the log-density given to it, None for anything else."""
    if isinstance(d, Delta):
        return jnp.asarray(d.v), jnp.asarray(d.log_density)
    if isinstance(d, ExpandedDistribution):
        inner = _point(d.base_dist)
        return inner and (
            jnp.broadcast_to(inner[0], d.shape()),
            jnp.broadcast_to(inner[1], d.batch_shape),
        )
    if isinstance(d, Independent):
        inner = _point(d.base_dist)
        axes = tuple(range(-d.reinterpreted_batch_ndims, 0))
        return inner and (inner[0], jnp.broadcast_to(inner[1], d.base_dist.batch_shape).sum(axes))
    return None


def _point_kl(v: Array, log_density: Array, p: Any) -> Array:
    """A point mass against p: finite only where p has an atom at the same place."""
    event_axes = tuple(range(-len(p.event_shape), 0))
    other = _point(p)
    if other is not None:
        same = jnp.all(v == other[0], axis=event_axes)
        return jnp.where(same, log_density - other[1], jnp.inf)
    if not p.is_discrete:
        return jnp.full(jnp.shape(log_density), jnp.inf)
    return log_density - _log_prob(p, v)


def _log_prob(d: Any, value: Any) -> Array:
    """log d(value), -inf outside the support, with finite gradients there."""
    inside = d.support(value)
    wide = jnp.reshape(inside, jnp.shape(inside) + (1,) * len(d.event_shape))
    with warnings.catch_warnings():
        # NumPyro warns of values outside the support, which are an answer here.
        warnings.filterwarnings("ignore", message="Out-of-support values")
        log_prob = accurate(d).log_prob(jnp.where(wide, value, d.support.feasible_like(value)))
    return jnp.where(inside, log_prob, -jnp.inf)


def _factors(d: Any) -> Any:
    """The univariate factors of a distribution as one batch; None where it has none."""
    while isinstance(d, (Independent, InverseCDF)):
        d = _unwrapped(d) if isinstance(d, InverseCDF) else d.base_dist
    return d if d.event_shape == () else None


def _peeled(d: Independent, dims: int) -> Any:
    rest = d.reinterpreted_batch_ndims - dims
    return Independent(d.base_dist, rest) if rest else d.base_dist


def _unwrapped(d: Any) -> Any:
    """How a distribution is drawn does not change its divergence."""
    return d.distribution if isinstance(d, InverseCDF) else d


def _unexpanded(d: Any) -> Any:
    return d.base_dist if isinstance(d, ExpandedDistribution) else d


def _unmasked(d: Any) -> Any:
    return d.base_dist if isinstance(d, MaskedDistribution) else d


def _mask(d: Any) -> Any:
    return jnp.asarray(d._mask) if isinstance(d, MaskedDistribution) else jnp.asarray(True)


def _common_batch_shape(q: Any, p: Any) -> tuple[int, ...]:
    if q.event_shape != p.event_shape:
        raise InputError(
            "two distributions over one space",
            f"event shapes {q.event_shape} and {p.event_shape}",
            "`.to_event()` or `.expand()` on one of them",
            where="kl",
        )
    try:
        return np.broadcast_shapes(q.batch_shape, p.batch_shape)
    except ValueError:
        raise InputError(
            "batch shapes that broadcast",
            f"{q.batch_shape} and {p.batch_shape}",
            "one batch shape for both",
            where="kl",
        ) from None


def _described(d: Any) -> str:
    """The family's name, looking through wrappers."""
    while isinstance(d, (Independent, ExpandedDistribution, MaskedDistribution)):
        d = d.base_dist
    return type(d).__name__
