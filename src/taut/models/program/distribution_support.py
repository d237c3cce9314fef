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
from jax.core import Tracer
from numpyro import distributions as dist
from numpyro.distributions import constraints, transforms
from numpyro.distributions.constraints import Constraint, is_dependent

__all__ = [
    "bounds_on_the_line", "contains", "library_of", "margins", "satisfies", "support_of",
    "tight_support",
]  # fmt: skip

Known = Callable[[Any], Any]

_CLOSED = (
    dist.Exponential, dist.FoldedDistribution, dist.Gompertz, dist.HalfCauchy, dist.HalfNormal,
    dist.LowerTruncatedPowerLaw, dist.Pareto,
)  # fmt: skip
_OPEN = (
    dist.Beta,
    dist.Dirichlet,
    dist.Kumaraswamy,
)  # no density at 0 and 1, or one without end, for most parameters
_DIGITS = 1e-6
_NO_MARGIN = 1e30


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
    """The support of a distribution as a constraint; of a transformed one, the image of its base's.

    Where that image has no simple form, it is the codomain that the distribution states. As in NumPyro,
    scales that are computed are taken as positive.
    """
    image = tight_support(fn, rising=True)
    return fn.support if image is None else image


def tight_support(fn: Any, *, rising: bool = False) -> Any:
    """The support of a distribution where a constraint describes it in full; None where none does.

    Arguments:
        fn: a NumPyro distribution.
        rising: whether scales that are computed are taken as positive; else none describes it.
    """
    if isinstance(fn, dist.MaskedDistribution | dist.ExpandedDistribution):
        return tight_support(fn.base_dist, rising=rising)
    if isinstance(fn, dist.Independent):
        base = tight_support(fn.base_dist, rising=rising)
        return base and constraints.independent(base, fn.reinterpreted_batch_ndims)
    if isinstance(fn, dist.MixtureSameFamily):
        return tight_support(fn.component_distribution, rising=rising)
    if isinstance(fn, dist.MixtureGeneral):
        first, *rest = (tight_support(one, rising=rising) for one in fn.component_distributions)
        return first if all(one is first for one in rest) else None
    if type(fn).support is not dist.TransformedDistribution.support:
        return fn.support
    support, axes = tight_support(fn.base_dist, rising=rising), 0
    if isinstance(support, constraints.independent):
        support, axes = support.base_constraint, support.reinterpreted_batch_ndims
    for transform in fn.transforms:
        support = support and _image(transform, support, rising=rising)
    return constraints.independent(support, axes) if support and axes else support


def margins(fn: Any, value: Any) -> list[Any]:
    """How far a value lies inside each bound of a support that has some: positive inside.

    Arguments:
        fn: a NumPyro distribution of single numbers, or of independent ones.
        value: of its shape, or of more draws of it.
    """
    if isinstance(fn, dist.MaskedDistribution):
        hidden = jnp.reshape(fn._mask ^ True, jnp.shape(fn._mask) + (1,) * fn.event_dim)
        return [jnp.where(hidden, _NO_MARGIN, one) for one in margins(fn.base_dist, value)]
    if isinstance(fn, dist.ExpandedDistribution | dist.Independent):
        return margins(fn.base_dist, value)
    if fn.support is None or is_dependent(fn.support) or fn.support.is_discrete:
        return []
    low, high = bounds_on_the_line(fn)
    below = [] if isinstance(low, float) and math.isinf(low) else [value - low]
    return below if isinstance(high, float) and math.isinf(high) else [*below, high - value]


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
    if isinstance(fn, dist.LeftCensoredDistribution | dist.RightCensoredDistribution):
        to_the_left = isinstance(fn, dist.LeftCensoredDistribution)
        hidden = _reaches(fn.base_dist, value, left=to_the_left, right=not to_the_left)
        return _either(contains(fn.base_dist, value, known), fn.censored & hidden)
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
    support = jax.tree.map(known, fn.support)
    if isinstance(fn, _CLOSED) and isinstance(support, constraints.greater_than):
        support = constraints.greater_than_eq(support.lower_bound)
    if isinstance(fn, _OPEN):
        within = (value > 0) & (value < 1)
        return satisfies(support, value) & (within.all(axis=-1) if fn.event_dim else within)
    return satisfies(support, value)


def _either(inside: Any, hidden: Any) -> Any:
    """Whether one of two things is true, without the second where the first is known to be."""
    return inside if isinstance(inside, np.ndarray | np.bool_) and inside.all() else inside | hidden


def _contains_interval(fn: Any, low: Any, high: Any, known: Known) -> Any:
    """Whether two ends can be those of an interval that holds the value; equal ends are the value."""
    left, right = fn.left_censored & ~fn.right_censored, fn.right_censored & ~fn.left_censored
    to_the_left = left & _reaches(fn.base_dist, high, left=True)
    to_the_right = right & _reaches(fn.base_dist, low, right=True)
    ends = _reaches(fn.base_dist, low, right=True) & _reaches(fn.base_dist, high, left=True)
    between = ~left & ~right & (low < high) & ends
    exact = ~left & ~right & (low == high) & contains(fn.base_dist, low, known)
    return to_the_left | to_the_right | between | exact


def _reaches(fn: Any, end: Any, *, left: bool = False, right: bool = False) -> Any:
    """Whether a distribution on the line has values on one side of an end.

    Beyond the other bound all of its values lie on that side. An end there is refused under a bound that
    is a number, where it is a slip in the data, and allowed under one that is computed.
    """
    least, most = bounds_on_the_line(fn)
    low = (end == end) if right and isinstance(least, Tracer) else end >= least
    high = (end == end) if left and isinstance(most, Tracer) else end <= most
    return low & high


def bounds_on_the_line(fn: Any) -> tuple[Any, Any]:
    """The bounds of the support of a distribution of single numbers, infinite where it has none."""
    support = support_of(fn)
    if isinstance(support, constraints.independent):
        support = support.base_constraint
    return getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)


def _image(transform: Any, support: Any, *, rising: bool) -> Any:
    """What a map makes of a support; None where that is no constraint, or not known to be one."""
    if support is transform.domain:
        return transform.codomain
    if isinstance(transform, transforms.ComposeTransform):
        for part in transform.parts:
            support = support and _image(part, support, rising=rising)
        return support
    low, high = (getattr(support, name, None) for name in ("lower_bound", "upper_bound"))
    if support.is_discrete or support.event_dim or (low is None and high is None):
        return None
    least, most = None, None
    if isinstance(transform, transforms.ExpTransform):
        least = 0.0
    elif isinstance(transform, transforms.SigmoidTransform):
        least, most = 0.0, 1.0
    elif isinstance(transform, transforms.AffineTransform):
        falling = _is_negative(transform.scale, rising=rising)
        if falling is None:
            return None
        low, high = (high, low) if falling else (low, high)
    else:
        return None
    return _between(
        least if low is None else transform(low), most if high is None else transform(high)
    )


def _between(low: Any, high: Any) -> Constraint:
    if low is None:
        return constraints.less_than(high)
    return constraints.greater_than(low) if high is None else constraints.interval(low, high)


def _is_negative(scale: Any, *, rising: bool) -> bool | None:
    """Whether a scale is negative throughout; None where it is not known to have one sign."""
    if isinstance(scale, Tracer):
        return False if rising else None
    negative = np.less(scale, 0)
    return bool(negative.all()) if negative.all() == negative.any() else None


def _is_sum(wanted: float, value: Any, axis: int) -> Any:
    """Whether numbers of six digits add up to what is wanted."""
    size = library_of(value).maximum(abs(value).max(axis=axis), 1.0)
    return abs(value.sum(axis=axis) - wanted) <= _DIGITS * size * value.shape[axis]


def library_of(value: Any) -> Any:
    """`jax.numpy` or `numpy`: where a value's operations are."""
    return jnp if isinstance(value, jax.Array) else np
