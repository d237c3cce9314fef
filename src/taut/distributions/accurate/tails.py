"""log F(x) and log(1 - F(x)) of NumPyro's distributions, each right where it underflows.

    y = (x - loc) / scale where there are these; the smaller tail is written out, the other one is what
    is missing to 1

A censored value has one of them for its density, a truncated one their difference for its constant.
NumPyro has distribution functions, whose logarithm is flat where 1 - F(x) is below eps. The rules are by
the class that defines the distribution function; a class without one has no tails here.
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.nn import log1mexp, log_sigmoid, logsumexp, softplus
from jax.scipy.special import erf, log_ndtr
from jaxtyping import Array
from numpyro.distributions.mixtures import _MixtureBase

from taut.distributions.accurate.continuous import log_power_integral, log_student_t_constant
from taut.distributions.incomplete import log_beta_tails, log_gamma_tails
from taut.distributions.positive_normal import log_mills

__all__ = ["has_tails", "log_mass", "tails"]

Tails = tuple[Array, Array]

_LOG_2 = math.log(2.0)
_LOG_PI = math.log(math.pi)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# Beyond, log(1 - exp(-e^-y)) is -y - e^-y / 2 to the last digit, also where e^-y is no number any more.
_FAR = 30.0
# Within it two terms of Student's distribution function about 0 leave less than 1e-15.
_CENTRAL = 1e-3


def tails(d: Any, x: Any) -> Tails:
    """log F(x) and log(1 - F(x)), element by element; nats.

    Arguments:
        d: a univariate distribution, for which `has_tails`.
        x: anywhere: below the support the first is -inf, above it the second.
    """
    rule = _rule(type(d))
    assert rule is not None
    return rule(d, jnp.asarray(x))


def has_tails(d: Any) -> bool:
    """Whether there are rules for a distribution and all that it is made of."""
    if isinstance(d, dist.TransformedDistribution):
        return _rule(type(d)) is _transformed and has_tails(d.base_dist)
    if isinstance(d, _MixtureBase):
        return all(map(has_tails, _components(d)))
    if _rule(type(d)) is None:
        return False
    return not hasattr(d, "base_dist") or has_tails(d.base_dist)


def log_mass(d: Any, low: Any, high: Any) -> Array:
    """log(F(high) - F(low)) for low < high, by the tails of the side on which they are small; nats."""
    below_low, above_low = tails(d, low)
    below_high, above_high = tails(d, high)
    upper = above_low < below_high
    outer = jnp.where(upper, above_low, below_high)
    inner = jnp.where(upper, above_high, below_low)
    return outer + _log1m_ratio(outer, inner)


def _log1m_ratio(outer: Array, inner: Array) -> Array:
    """log(1 - e^(inner - outer)): 0 where inner is -inf, -inf where they are equal."""
    empty = jnp.isneginf(inner)
    gap = jnp.where(empty, 1.0, outer - inner)
    open_ = gap > 0
    log_part = jnp.where(open_, log1mexp(jnp.where(open_, gap, 1.0)), -jnp.inf)
    return jnp.where(empty, 0.0, log_part)


def log_normal_cdf(y: Array) -> Array:
    """log Phi(y), to full precision in value and slope."""
    negative = y < 0
    t = jnp.where(negative, -y, 0.0)
    below = log_mills(t) - 0.5 * t**2 - _HALF_LOG_2PI
    return jnp.where(negative, below, log_ndtr(jnp.where(negative, 0.0, y)))


def _standard(d: Any, x: Array) -> Array:
    return (x - d.loc) / d.scale


def _symmetric(log_cdf: Callable[[Array], Array]) -> Callable[[Any, Array], Tails]:
    def rule(d: Any, x: Array) -> Tails:
        y = _standard(d, x)
        return log_cdf(y), log_cdf(-y)

    return rule


def _laplace_cdf(y: Array) -> Array:
    negative = y < 0
    half = jnp.exp(jnp.where(negative, y, -y) - _LOG_2)
    return jnp.where(negative, y - _LOG_2, jnp.log1p(-half))


def _cauchy_cdf(y: Array) -> Array:
    return jnp.log(jnp.arctan2(jnp.ones_like(y), -y)) - _LOG_PI


def _soft_laplace_cdf(y: Array) -> Array:
    """log(2 atan(e^y) / pi), whose atan is e^y far below."""
    inner = jnp.maximum(y, -_FAR)
    log_arctan = jnp.where(y < -_FAR, y, jnp.log(jnp.arctan2(jnp.ones_like(y), jnp.exp(-inner))))
    return log_arctan + _LOG_2 - _LOG_PI


def _asymmetric_laplace(d: Any, x: Array) -> Tails:
    z, k2 = x - d.loc, jnp.asarray(d.asymmetry) ** 2
    below = jnp.log(k2 / (1 + k2)) + jnp.minimum(z, 0.0) / d.left_scale
    above = -jnp.log1p(k2) - jnp.maximum(z, 0.0) / d.right_scale
    return (
        jnp.where(z < 0, below, jnp.log1p(-jnp.exp(above))),
        jnp.where(z < 0, jnp.log1p(-jnp.exp(below)), above),
    )


def _student_t(d: Any, x: Array) -> Tails:
    y, df = jnp.broadcast_arrays(_standard(d, x), d.df)
    central = jnp.abs(y) < _CENTRAL
    square = jnp.where(central, 1.0, y) ** 2
    # y^2 / (df + y^2) has a beta distribution, which has no slope in y at 0: there it is a series.
    _, outside = log_beta_tails(
        jnp.full_like(df, 0.5), df / 2, square / (df + square), df / (df + square)
    )
    far, near = outside - _LOG_2, jnp.log1p(-jnp.exp(outside - _LOG_2))
    rise = 2 * jnp.exp(log_student_t_constant(df)) * y * (1 - (df + 1) / (6 * df) * y**2)
    rise = jnp.where(central, rise, 0.0)
    below = jnp.where(central, jnp.log1p(rise) - _LOG_2, jnp.where(y < 0, far, near))
    return below, jnp.where(central, jnp.log1p(-rise) - _LOG_2, jnp.where(y < 0, near, far))


def _half_normal(d: Any, x: Array) -> Tails:
    return _folded_normal(jnp.asarray(x) / d.scale)


def _folded_normal(y: Array) -> Tails:
    y = jnp.asarray(y)
    inside = y > 0
    safe = jnp.where(inside, y, 1.0)
    above = _LOG_2 + log_normal_cdf(-safe)
    near = jnp.log(erf(jnp.minimum(safe, 1.0) / math.sqrt(2.0)))
    below = jnp.where(safe < 1, near, log1mexp(-jnp.where(safe < 1, -1.0, above)))
    return jnp.where(inside, below, -jnp.inf), jnp.where(inside, above, 0.0)


def _half_cauchy(d: Any, x: Array) -> Tails:
    y = x / d.scale
    inside, one = y > 0, jnp.ones_like(y)
    safe = jnp.where(inside, y, 1.0)
    below = jnp.log(jnp.arctan2(safe, one)) + _LOG_2 - _LOG_PI
    above = jnp.log(jnp.arctan2(one, safe)) + _LOG_2 - _LOG_PI
    return jnp.where(inside, below, -jnp.inf), jnp.where(inside, above, 0.0)


def _hazard(cumulative: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Tails]:
    """By H(x) = -log(1 - F(x)) on x > 0."""

    def rule(d: Any, x: Array) -> Tails:
        inside = x > 0
        h = cumulative(d, jnp.where(inside, x, 1.0))
        return jnp.where(inside, log1mexp(h), -jnp.inf), jnp.where(inside, -h, 0.0)

    return rule


def _gumbel(d: Any, x: Array) -> Tails:
    y = _standard(d, x)
    return -jnp.exp(-y), _log1m_exp_exp(y)


def _log1m_exp_exp(y: Array) -> Array:
    """log(1 - exp(-e^-y))."""
    far = y > _FAR
    near = log1mexp(jnp.exp(-jnp.where(far, 0.0, y)))
    outer = jnp.where(far, y, _FAR)
    return jnp.where(far, -outer - 0.5 * jnp.exp(-outer), near)


def _dagum(d: Any, x: Array) -> Tails:
    inside = x > 0
    ratio = d.sharpness * (jnp.log(d.scale) - jnp.log(jnp.where(inside, x, 1.0)))
    below = -d.concentration * softplus(ratio)
    far = ratio < -_FAR
    near = log1mexp(-jnp.where(far, -1.0, below))
    above = jnp.where(far, jnp.log(d.concentration) + ratio, near)
    return jnp.where(inside, below, -jnp.inf), jnp.where(inside, above, 0.0)


def _uniform(d: Any, x: Array) -> Tails:
    width = jnp.asarray(d.high) - d.low
    return _log_part((x - d.low) / width), _log_part((d.high - x) / width)


def _log_part(share: Array) -> Array:
    """The log of a share that is held in [0, 1]."""
    inside = share > 0
    return jnp.where(inside, jnp.log(jnp.where(inside, jnp.minimum(share, 1.0), 1.0)), -jnp.inf)


def _gamma(d: Any, x: Array) -> Tails:
    return log_gamma_tails(jnp.asarray(d.concentration), jnp.asarray(d.rate) * x)


def _beta(d: Any, x: Array) -> Tails:
    x = jnp.clip(x, 0.0, 1.0)
    return log_beta_tails(jnp.asarray(d.concentration1), jnp.asarray(d.concentration0), x, 1 - x)


def _levy(d: Any, x: Array) -> Tails:
    inside = x > d.loc
    above, below = _folded_normal(jnp.sqrt(d.scale / jnp.where(inside, x - d.loc, 1.0)))
    return jnp.where(inside, below, -jnp.inf), jnp.where(inside, above, 0.0)


def _poisson(d: Any, x: Array) -> Tails:
    """P(X <= x) = Q(floor(x) + 1, rate)."""
    code = jnp.floor(x) + 1.0
    above, below = log_gamma_tails(jnp.maximum(code, 1.0), jnp.asarray(d.rate))
    return jnp.where(code > 0, below, -jnp.inf), jnp.where(code > 0, above, 0.0)


def _gamma_poisson(d: Any, x: Array) -> Tails:
    """P(X <= x) = I_p(r, floor(x) + 1) with p = rate / (1 + rate)."""
    code, rate = jnp.floor(x) + 1.0, jnp.asarray(d.rate)
    p, q = rate / (1 + rate), 1 / (1 + rate)
    below, above = log_beta_tails(
        *map(jnp.asarray, (d.concentration, jnp.maximum(code, 1.0), p, q))
    )
    return jnp.where(code > 0, below, -jnp.inf), jnp.where(code > 0, above, 0.0)


def _left_truncated(d: Any, x: Array) -> Tails:
    return _between(d.base_dist, x, d.low, jnp.inf)


def _right_truncated(d: Any, x: Array) -> Tails:
    return _between(d.base_dist, x, -jnp.inf, d.high)


def _two_sided_truncated(d: Any, x: Array) -> Tails:
    return _between(d.base_dist, x, d.low, d.high)


def _between(base: Any, x: Array, low: Any, high: Any) -> Tails:
    x, whole = jnp.clip(x, low, high), log_mass(base, low, high)
    inside = (x > low) & (x < high)
    # A point with mass on either side in place of the ends, where one of the two is empty.
    parts = log_mass(base, low, x), log_mass(base, x, high)
    below = jnp.where(x > low, jnp.where(inside, parts[0] - whole, 0.0), -jnp.inf)
    return below, jnp.where(x < high, jnp.where(inside, parts[1] - whole, 0.0), -jnp.inf)


def _power_law(d: Any, x: Array) -> Tails:
    inside = x > d.low
    above = (1 + jnp.asarray(d.alpha)) * jnp.log(jnp.where(inside, x / d.low, 2.0))
    below = log1mexp(-above)
    return jnp.where(inside, below, -jnp.inf), jnp.where(inside, above, 0.0)


def _truncated_power_law(d: Any, x: Array) -> Tails:
    inside, s = (x > d.low) & (x < d.high), 1 + jnp.asarray(d.alpha)
    y = jnp.where(inside, x, jnp.sqrt(jnp.asarray(d.low) * d.high))
    under, over = jnp.log(y / d.low), jnp.log(d.high / y)
    whole = log_power_integral(s, under + over)
    below = log_power_integral(s, under) - whole
    above = s * under + log_power_integral(s, over) - whole
    below = jnp.where(inside, below, jnp.where(x > d.low, 0.0, -jnp.inf))
    return below, jnp.where(inside, above, jnp.where(x > d.low, -jnp.inf, 0.0))


def _transformed(d: Any, x: Array) -> Tails:
    """Those of the base at the inverse, swapped where the transform falls."""
    inside, rises = jnp.asarray(d.support(x)), jnp.asarray(True)
    y = jnp.where(inside, x, d.support.feasible_like(x))
    for transform in reversed(d.transforms):
        rises = rises == (jnp.asarray(transform.sign) > 0)
        y = transform.inv(y)
    lower, upper = tails(d.base_dist, y)
    below, above = jnp.where(rises, lower, upper), jnp.where(rises, upper, lower)
    # Supports of such distributions are the line, or begin or end somewhere on it.
    under = x < d.support.feasible_like(x)
    below = jnp.where(inside, below, jnp.where(under, -jnp.inf, 0.0))
    return below, jnp.where(inside, above, jnp.where(under, 0.0, -jnp.inf))


def _of_base(d: Any, x: Array) -> Tails:
    return tails(d.base_dist, x)


def _mixture(d: Any, x: Array) -> Tails:
    weights = jnp.asarray(d.mixing_distribution.logits)
    weights = weights - logsumexp(weights, axis=-1, keepdims=True)
    parts = _components(d)
    if isinstance(d, dist.MixtureSameFamily):
        both = tails(parts[0], x[..., None])
    else:
        each = [tails(part, x) for part in parts]
        both = tuple(
            jnp.stack(jnp.broadcast_arrays(*side), axis=-1) for side in zip(*each, strict=True)
        )
    below, above = (logsumexp(weights + side, axis=-1) for side in both)
    return below, above


def _components(d: Any) -> list[Any]:
    if isinstance(d, dist.MixtureSameFamily):
        return [d.component_distribution]
    return list(d.component_distributions)


_RULES: dict[type, Callable[[Any, Array], Tails]] = {
    dist.Normal: _symmetric(log_normal_cdf),
    dist.Logistic: _symmetric(log_sigmoid),
    dist.Laplace: _symmetric(_laplace_cdf),
    dist.Cauchy: _symmetric(_cauchy_cdf),
    dist.SoftLaplace: _symmetric(_soft_laplace_cdf),
    dist.StudentT: _student_t,
    dist.AsymmetricLaplace: _asymmetric_laplace,
    dist.AsymmetricLaplaceQuantile: lambda d, x: _asymmetric_laplace(d._ald, x),
    dist.Gumbel: _gumbel,
    dist.HalfNormal: _half_normal,
    dist.HalfCauchy: _half_cauchy,
    dist.Exponential: _hazard(lambda d, x: jnp.asarray(d.rate) * x),
    dist.Weibull: _hazard(lambda d, x: (x / d.scale) ** d.concentration),
    dist.Gompertz: _hazard(lambda d, x: d.concentration * jnp.expm1(d.rate * x)),
    dist.Gamma: _gamma,
    dist.Beta: _beta,
    dist.Levy: _levy,
    dist.Dagum: _dagum,
    dist.Uniform: _uniform,
    dist.LowerTruncatedPowerLaw: _power_law,
    dist.DoublyTruncatedPowerLaw: _truncated_power_law,
    dist.Poisson: _poisson,
    dist.GammaPoisson: _gamma_poisson,
    dist.LeftTruncatedDistribution: _left_truncated,
    dist.RightTruncatedDistribution: _right_truncated,
    dist.TwoSidedTruncatedDistribution: _two_sided_truncated,
    dist.TransformedDistribution: _transformed,
    dist.ExpandedDistribution: _of_base,
    _MixtureBase: _mixture,
}


def _rule(cls: type) -> Callable[[Any, Array], Tails] | None:
    """The rule of the class that defines the distribution function of `cls`, if there is one."""
    for ancestor in cls.__mro__:
        if ancestor in _RULES:
            return _RULES[ancestor]
        if "cdf" in vars(ancestor):
            return None
    return None
