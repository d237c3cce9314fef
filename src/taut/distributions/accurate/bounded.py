"""Rules for censored and truncated values, by tails that hold where their probabilities underflow.

censored     log F(x), log(1 - F(x)), log(F(b) - F(a)) where a value is not seen, else log f(x)
truncated    log f(x) - log(F(high) - F(low))
"""

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

from taut.distributions.accurate.tails import has_tails, log_mass, tails
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
    return d.base_dist.log_prob(x) - tails(_known(d), d.low)[1]


def _right_truncated(d: Any, x: Any) -> Array:
    return d.base_dist.log_prob(x) - tails(_known(d), d.high)[0]


def _two_sided_truncated(d: Any, x: Any) -> Array:
    return d.base_dist.log_prob(x) - log_mass(_known(d), d.low, d.high)


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
