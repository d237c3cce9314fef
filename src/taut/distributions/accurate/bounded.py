"""Rules for censored and truncated values, by tails that hold where their probabilities underflow.

censored     log F(x), log(1 - F(x)), log(F(b) - F(a)) where a value is not seen, else log f(x)
truncated    log f(x) - log(F(high) - F(low))

Of a normal whose centre lies beyond its bounds both terms of the second are squares of that distance, so
it is written from the bound at that side, in u = |x - bound| / s and t = |bound - loc| / s:

    log f(x) - log(1 - F(bound)) = -u (u / 2 + t) - log R(t) - log s,        R the Mills ratio
"""

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.nn import log1mexp
from jaxtyping import Array

from taut.distributions.accurate.tails import has_tails, log_mass, tails
from taut.distributions.positive_normal import log_density_above, log_survival_above
from taut.errors import InputError

__all__ = ["BOUNDED"]


def _left_censored(d: dist.LeftCensoredDistribution, x: Any) -> Array:
    return jnp.where(d.censored, tails(_known(d), x)[0], d.base_dist.log_prob(x))


def _right_censored(d: dist.RightCensoredDistribution, x: Any) -> Array:
    return jnp.where(d.censored, tails(_known(d), x)[1], d.base_dist.log_prob(x))


def _interval_censored(d: dist.IntervalCensoredDistribution, x: Any) -> Array:
    """Of bounds (a, b) on the last axis: below b, above a, between them, or outside of both.

    Where a = b the value was seen. NumPyro takes any interval of a width below 1e-5 |b| for a point and
    gives it a density in place of a probability.
    """
    base, low, high = _known(d), jnp.asarray(x)[..., 0], jnp.asarray(x)[..., 1]
    left, right = jnp.asarray(d.left_censored), jnp.asarray(d.right_censored)
    between, outside = ~left & ~right, left & right
    seen = between & (low == high)
    # A bound that says nothing may be anything, infinite too.
    anywhere = base.support.feasible_like(low)
    low = jnp.where(left & ~right, anywhere, low)
    high = jnp.where(right & ~left, anywhere, high)
    wide = between & ~seen
    within = log_mass(base, jnp.where(wide, low, anywhere), jnp.where(wide, high, anywhere))
    (below_low, above), (below, above_high) = tails(base, low), tails(base, high)
    beyond = jnp.logaddexp(jnp.where(outside, below_low, 0.0), jnp.where(outside, above_high, 0.0))
    hidden = jnp.where(outside, beyond, jnp.where(left, below, above))
    return jnp.where(seen, base.log_prob(low), jnp.where(wide, within, hidden))


def _left_truncated(d: Any, x: Any) -> Array:
    if type(d.base_dist) is dist.Normal:
        return _beyond(d.base_dist, x - d.low, d.low - d.base_dist.loc)
    return d.base_dist.log_prob(x) - tails(_known(d), d.low)[1]


def _right_truncated(d: Any, x: Any) -> Array:
    if type(d.base_dist) is dist.Normal:
        return _beyond(d.base_dist, d.high - x, d.base_dist.loc - d.high)
    return d.base_dist.log_prob(x) - tails(_known(d), d.high)[0]


def _two_sided_truncated(d: Any, x: Any) -> Array:
    base = _known(d)
    if type(base) is not dist.Normal:
        return base.log_prob(x) - log_mass(base, d.low, d.high)
    loc, scale = d.base_dist.loc, d.base_dist.scale
    under, outside = loc < d.low, (loc < d.low) | (loc > d.high)
    near = dist.Normal(jnp.where(outside, d.low, loc), scale)
    between = near.log_prob(x) - log_mass(near, d.low, d.high)
    inside = jnp.where(under, x - d.low, d.high - x)
    distance = jnp.where(outside, jnp.where(under, d.low - loc, loc - d.high), 0.0)
    over = log_survival_above((d.high - d.low) / scale, distance / scale)
    return jnp.where(outside, _beyond(base, inside, distance) - log1mexp(-over), between)


def _beyond(base: Any, inside: Any, distance: Any) -> Array:
    """log-density at `inside` from a bound which lies `distance` from the centre, away from it."""
    return log_density_above(inside / base.scale, distance / base.scale) - jnp.log(base.scale)


def _known(d: Any) -> Any:
    """The distribution inside.

    Raises:
        InputError: its tails are not known, and NumPyro's are wrong where they are small.
    """
    if has_tails(d.base_dist):
        return d.base_dist
    raise InputError(
        "a distribution whose tail probabilities hold far out, such as Normal, StudentT, Gamma or "
        "Weibull",
        type(d.base_dist).__name__,
        "numpyro.factor with the log of its tail probability",
        where=type(d).__name__,
    )


BOUNDED = {
    dist.LeftCensoredDistribution: _left_censored,
    dist.RightCensoredDistribution: _right_censored,
    dist.IntervalCensoredDistribution: _interval_censored,
    dist.LeftTruncatedDistribution: _left_truncated,
    dist.RightTruncatedDistribution: _right_truncated,
    dist.TwoSidedTruncatedDistribution: _two_sided_truncated,
    dist.LeftTruncatedGamma: _left_truncated,
    dist.RightTruncatedGamma: _right_truncated,
    dist.TwoSidedTruncatedGamma: _two_sided_truncated,
}
