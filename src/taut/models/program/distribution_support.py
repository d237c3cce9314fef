"""Which values a NumPyro distribution can take, by its structure.

    contains(fn, x)      whether x is one of them, for each event of the batch

A distribution states its support as a constraint, which is too wide for some: that of a transformed
distribution is the codomain of the last map, whatever its base can reach; that of a mixture is one
component's; a multinomial's lets fractions through. It is too narrow for others: a zero-inflated or
censored distribution takes more values than the one inside.

Three differences from NumPyro are meant. The bound itself is a value where the density has a finite
limit there for all parameters (zero under an exponential, the scale of a Pareto). Angles may lie on
[-2 pi, 2 pi], since their densities are periodic. Sums that must be 1 or 0 are as exact as numbers of
six digits make them.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist
from numpyro.distributions import constraints
from numpyro.distributions.constraints import Constraint, is_dependent

__all__ = ["contains", "library_of", "satisfies", "support_of"]

Known = Callable[[Any], Any]

_CLOSED = (
    dist.Exponential, dist.FoldedDistribution, dist.Gompertz, dist.HalfCauchy, dist.HalfNormal,
    dist.LowerTruncatedPowerLaw, dist.Pareto,
)  # fmt: skip
_CENSORED = (dist.LeftCensoredDistribution, dist.RightCensoredDistribution)
_DIGITS = 1e-6


def contains(fn: Any, value: Any, known: Known = lambda x: x) -> Any:
    """Whether a value is one that a distribution can take, for each event of its batch.

    Values of NumPy are answered by NumPy where bounds and masks are NumPy's, too.

    Arguments:
        fn: a NumPyro distribution.
        value: of the shape of the distribution, or of more draws of it.
        known: from an array of the distribution to one that is put in its place.
    """
    inside = _contains(fn, value, known)
    extra = np.ndim(inside) - (np.ndim(value) - fn.event_dim)
    return inside.all(axis=tuple(range(-extra, 0))) if extra > 0 else inside


def support_of(fn: Any) -> Any:
    """The support that a distribution states, with the bounds that belong to it."""
    if isinstance(fn, _CLOSED) and isinstance(fn.support, constraints.greater_than):
        return constraints.greater_than_eq(fn.support.lower_bound)
    return fn.support


def satisfies(support: Constraint, value: Any) -> Any:
    """Whether a value satisfies a constraint, for each of the constraint's events."""
    if any(isinstance(bound, jax.Array) for bound in jax.tree.leaves(support)):
        value = jnp.asarray(value)
    if isinstance(support, constraints.independent):
        inside, axes = satisfies(support.base_constraint, value), support.reinterpreted_batch_ndims
        return inside.all(axis=tuple(range(-axes, 0)))
    if support is constraints.circular:
        return abs(value) <= 2 * math.pi
    if support is constraints.simplex:
        return (value >= 0).all(axis=-1) & _is_sum(1.0, value, -1)
    if support is constraints.sphere:
        return _is_sum(1.0, value**2, -1)
    if support is constraints.corr_cholesky:
        return satisfies(constraints.lower_cholesky, value) & _is_sum(1.0, value**2, -1).all(
            axis=-1
        )
    if isinstance(support, constraints.zero_sum):
        sums = [_is_sum(0.0, value, axis) for axis in range(-support.event_dim, 0)]
        each = [one.all(axis=tuple(range(1 - support.event_dim, 0))) for one in sums]
        return sum(each[1:], each[0]) > len(each) - 1
    if isinstance(support, constraints.multinomial):
        return support(value) & (value % 1 == 0).all(axis=-1)
    return support(value)


def _contains(fn: Any, value: Any, known: Known) -> Any:
    if isinstance(fn, dist.MaskedDistribution):
        return _either(contains(fn.base_dist, value, known), known(fn._mask) ^ True)
    if isinstance(fn, dist.ExpandedDistribution | dist.Independent):
        return contains(fn.base_dist, value, known)
    if isinstance(fn, dist.MixtureSameFamily):
        spread = library_of(value).expand_dims(value, fn.mixture_dim)
        return contains(fn.component_distribution, spread, known).any(axis=-1)
    if isinstance(fn, dist.MixtureGeneral):
        first, *rest = (contains(one, value, known) for one in fn.component_distributions)
        return sum(rest, first) > 0
    if isinstance(fn, dist.ZeroInflatedProbs | dist.HurdleProbs):
        return contains(fn.base_dist, value, known) | (value == 0)
    if isinstance(fn, _CENSORED):
        within = _within(fn.base_dist, value, value)
        return _either(contains(fn.base_dist, value, known), fn.censored & within)
    if isinstance(fn, dist.IntervalCensoredDistribution):
        return _contains_interval(fn, value[..., 0], value[..., 1], known)
    if isinstance(fn, dist.Delta):
        return value == fn.v
    if type(fn).support is dist.TransformedDistribution.support:
        inside = satisfies(fn.support, value)
        for transform in reversed(fn.transforms):
            value = transform._inverse(value)
        return inside & contains(fn.base_dist, value, known)
    if fn.support is None or is_dependent(fn.support):
        return library_of(value).isfinite(value)
    return satisfies(jax.tree.map(known, support_of(fn)), value)


def _either(inside: Any, hidden: Any) -> Any:
    """Whether one of two things is true, without the second where the first is known to be."""
    return inside if isinstance(inside, np.ndarray | np.bool_) and inside.all() else inside | hidden


def _contains_interval(fn: Any, low: Any, high: Any, known: Known) -> Any:
    """Whether two ends can be those of an interval that holds the value; equal ends are the value."""
    left, right = fn.left_censored & ~fn.right_censored, fn.right_censored & ~fn.left_censored
    to_the_left = left & _within(fn.base_dist, high, high)
    to_the_right = right & _within(fn.base_dist, low, low)
    between = ~left & ~right & (low < high) & _within(fn.base_dist, low, high)
    exact = ~left & ~right & (low == high) & contains(fn.base_dist, low, known)
    return to_the_left | to_the_right | between | exact


def _within(fn: Any, low: Any, high: Any) -> Any:
    """Whether two ends lie between the bounds of a distribution on the line, these included."""
    support = fn.support
    least = getattr(support, "lower_bound", -math.inf)
    most = getattr(support, "upper_bound", math.inf)
    return (low >= least) & (high <= most)


def _is_sum(wanted: float, value: Any, axis: int) -> Any:
    """Whether numbers of six digits add up to what is wanted."""
    size = library_of(value).maximum(abs(value).max(axis=axis), 1.0)
    return abs(value.sum(axis=axis) - wanted) <= _DIGITS * size * value.shape[axis]


def library_of(value: Any) -> Any:
    """`jax.numpy` or `numpy`: where a value's operations are."""
    return jnp if isinstance(value, jax.Array) else np
