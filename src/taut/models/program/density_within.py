"""The log-density of a distribution whose support moves with what it depends on.

    log p(x) = log p of the formula        where x lies in the support
             = -inf                        elsewhere

NumPyro's formulas hold inside and give some number outside, finite for many: that of a Pareto,
alpha m^alpha / x^(alpha + 1), rises in m past every x. Bounds that are numbers were checked with the
data, once; bounds that are computed are checked at every evaluation, and where x lies outside, the
formula is evaluated at another value.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float
from numpyro import distributions as dist

from taut.distributions import accurate
from taut.models.program.distribution_support import bounds_on_the_line, contains, tight_support

__all__ = ["bounds_move", "log_prob_within"]

_CENSORED = (
    dist.IntervalCensoredDistribution, dist.LeftCensoredDistribution, dist.RightCensoredDistribution,
)  # fmt: skip
_WRAPPERS = (dist.MaskedDistribution, dist.ExpandedDistribution, dist.Independent)


def bounds_move(fn: Any) -> bool:
    """Whether the bounds of a traced distribution are computed, or differ between components."""
    if isinstance(fn, (*_CENSORED, *_WRAPPERS)):
        return bounds_move(fn.base_dist)
    if isinstance(fn, dist.ZeroInflatedProbs | dist.HurdleProbs):
        return bounds_move(fn.base_dist)
    support = tight_support(fn)
    return support is None or any(isinstance(bound, Tracer) for bound in jax.tree.leaves(support))


def log_prob_within(fn: Any, value: Any) -> Float[Array, "..."]:
    """The log-density of a value, -inf outside of the support, with finite gradients.

    Arguments:
        fn: a NumPyro distribution.
        value: of the shape of the distribution, or of more draws of it.
    """
    if isinstance(fn, dist.MaskedDistribution):
        inside = log_prob_within(fn.base_dist, value)
        return jnp.where(fn._mask, inside, 0.0)
    if isinstance(fn, dist.ExpandedDistribution):
        inside = log_prob_within(fn.base_dist, value)
        return jnp.broadcast_to(inside, jnp.broadcast_shapes(inside.shape, fn.batch_shape))
    if isinstance(fn, dist.Independent):
        inside = log_prob_within(fn.base_dist, value)
        return inside.sum(axis=tuple(range(-fn.reinterpreted_batch_ndims, 0)))
    if isinstance(fn, dist.MixtureSameFamily):
        each = log_prob_within(fn.component_distribution, jnp.expand_dims(value, fn.mixture_dim))
        return _mixed(fn, each)
    if isinstance(fn, dist.MixtureGeneral):
        each = [log_prob_within(one, value) for one in fn.component_distributions]
        return _mixed(fn, jnp.stack(jnp.broadcast_arrays(*each), axis=-1))
    value = jnp.asarray(value)
    inside = jnp.asarray(contains(fn, value))
    if isinstance(fn, _CENSORED):  # an end beyond the bounds says what the bound says
        value = jnp.clip(value, *bounds_on_the_line(fn.base_dist))
    spread = inside.reshape(inside.shape + (1,) * fn.event_dim)
    safe = jnp.where(spread, value, _feasible(fn, value))
    return jnp.where(inside, accurate(fn).log_prob(safe), -jnp.inf)


def _mixed(fn: Any, log_probs: Array) -> Array:
    weighted = jax.nn.log_softmax(fn.mixing_distribution.logits) + log_probs
    # Where every component is at -inf, so is the mixture, with a gradient of zero.
    possible = jnp.isfinite(weighted).any(axis=-1)
    safe = jnp.where(possible[..., None], weighted, 0.0)
    return jnp.where(possible, jax.nn.logsumexp(safe, axis=-1), -jnp.inf)


def _feasible(fn: Any, like: Array) -> Array:
    """A value that a distribution can take, shaped like another."""
    if isinstance(fn, (*_CENSORED, *_WRAPPERS)):
        return _feasible(fn.base_dist, like)
    if type(fn).support is dist.TransformedDistribution.support:
        for transform in reversed(fn.transforms):
            like = transform._inverse(like)
        value = _feasible(fn.base_dist, like)
        for transform in fn.transforms:
            value = transform(value)
        return value
    return jnp.broadcast_to(jnp.asarray(fn.support.feasible_like(like), like.dtype), like.shape)
