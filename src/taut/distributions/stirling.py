"""Factorials and powers taken together, so that nothing large is left to cancel.

    s(x)    = log Gamma(x + 1) - x log x + x,                 s(x) -> log(2 pi x) / 2,    s(0) = 0
    D(x, m) = x log(x / m) + m - x >= 0,                      D(0, m) = m

The log of x! m^-x e^m, of which every mass function of counts is made, is s(x) + D(x, m): two small
numbers, where log Gamma(x + 1) and x log m are of order x log x and lose eps x log x nats in their
difference. D is the deviance of a Poisson with mean m, halved.

Stirling's series holds for large x. Of x < 8 it is taken at y = x + 8, as Gamma of the two differ by a
product, and digamma by a sum, of few terms: a few logarithms, where the log-gamma function of a library
takes many times as long. So small numbers are left here, too:

    s(x) = log(2 pi y) / 2 + ... + x log(y / x) - 8 - sum_{k = 1..7} log((x + k) / y)

Source: Loader, Fast and accurate computation of binomial probabilities (2000), with his stirlerr(x) =
s(x) - log(2 pi x) / 2 and bd0 = D; Abramowitz and Stegun (1964), 6.1.40 to 6.1.42 and 6.3.18.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

__all__ = ["deviance", "digamma_excess", "log_factorial_excess", "log_ratio_excess"]

# From here on Stirling's series is used: its first term left out is below 1e-16, and in float32, of
# three and four terms, below 1e-9.
_LARGE = 8.0
# B_2n / (2n (2n - 1)) and B_2n / 2n, n = 1..8; B are Bernoulli numbers.
_STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
_DIGAMMA = (
    1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160,
)  # fmt: skip
# Within this radius log(1 + t) - t is a series in (t / (2 + t))^2 <= 1/9, of which 16 terms suffice, and
# in float32 seven.
_NEAR = 0.5
_ARTANH = tuple(2 / (2 * n + 3) for n in range(16))


@jax.custom_jvp
def log_factorial_excess(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """s(x) for x >= 0, element by element; nats.

    Its derivative digamma(x + 1) - log x is infinite at 0, where a count is taken as a constant and
    the derivative as 0.
    """
    large = x >= _LARGE
    y = jnp.where(large, x, x + _LARGE)
    log_y, near = jnp.log(y), jnp.where(large | (x == 0), 1.0, x)
    part = 1 / y
    series = 0.5 * (math.log(2 * math.pi) + log_y) + _horner(_STIRLING, part**2, single=3) * part
    product = math.prod((near + k) * part for k in range(1, int(_LARGE)))
    small = series + near * (log_y - jnp.log(near)) - _LARGE - jnp.log(product)
    return jnp.where(large, series, jnp.where(x == 0, 0.0, small))


@log_factorial_excess.defjvp
def _log_factorial_excess_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (x_dot,) = primals, tangents
    inside = jnp.where(x > 0, x, 1.0)
    slope = jnp.where(x > 0, digamma_excess(inside) + 1 / inside, 0.0)
    return log_factorial_excess(x), slope * x_dot


def digamma_excess(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """digamma(x) - log x for x > 0, element by element; about -1 / (2 x)."""
    large = x >= _LARGE
    y, near = jnp.where(large, x, x + _LARGE), jnp.where(large, 1.0, x)
    part = 1 / y
    series = -0.5 * part - _horner(_DIGAMMA, part**2, single=4) * part**2
    # 1 / x + ... + 1 / (x + 7), two by two.
    inner = near * (near + 7)
    terms = (2 * near + 7) * sum(1 / (inner + k * (7 - k)) for k in range(4))
    return series + jnp.where(large, 0.0, jnp.log(y) - jnp.log(near) - terms)


def log_ratio_excess(
    x: Float[Array, "..."], mean: Float[Array, "..."], difference: Float[Array, "..."]
) -> Float[Array, "..."]:
    """log(x / mean) - difference / mean for positive x and mean, element by element; at most 0.

    Right to full relative precision also where it is about -(difference / mean)^2 / 2; `difference` is
    x - mean, as in `deviance`.
    """
    t = difference / mean
    near = jnp.abs(t) < _NEAR
    far = jnp.log(jnp.where(near, 1.0, _ratio(x, mean))) - t
    return jnp.where(near, _log1p_excess(jnp.where(near, t, 0.0)), far)


@jax.custom_jvp
def deviance(
    x: Float[Array, "..."], mean: Float[Array, "..."], difference: Float[Array, "..."]
) -> Float[Array, "..."]:
    """D(x, mean), element by element; nats, at least 0.

    Arguments:
        x: at least 0. A count of 0 is a constant: the derivative in it is taken as 0.
        mean: positive, or 0 where x is 0; at infinity D is infinite.
        difference: x - mean. It is an argument because means that are products know it to more digits
            than their own rounding leaves, and two deviances of one sum need differences that add up
            to 0. Its derivative is that of x - mean and is not asked for.
    """
    t = difference / jnp.where(mean > 0, mean, 1.0)
    near = jnp.abs(t) < _NEAR
    inner = jnp.where(near, t, 0.0)
    close = x * _log1p_excess(inner) + difference * inner
    far = jnp.where(jnp.isposinf(mean), jnp.inf, xlogy(x, _ratio(x, mean)) - difference)
    return jnp.where(near, close, far)


@deviance.defjvp
def _deviance_jvp(primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """dD = log(x / mean) dx + (1 - x / mean) dmean."""
    (x, mean, difference), (x_dot, mean_dot, _) = primals, tangents
    t = difference / jnp.where(mean > 0, mean, 1.0)
    near = jnp.abs(t) < _NEAR
    log_ratio = jnp.where(
        near, jnp.log1p(jnp.where(near, t, 0.0)), jnp.log(jnp.where(near, 1.0, _ratio(x, mean)))
    )
    return deviance(x, mean, difference), jnp.where(x > 0, log_ratio, 0.0) * x_dot - t * mean_dot


def _log1p_excess(t: Any) -> Any:
    """log(1 + t) - t for |t| < 1/2."""
    ratio = t / (2 + t)  # log(1 + t) = 2 artanh(ratio), and t - 2 ratio = t ratio
    return ratio * (ratio**2 * _horner(_ARTANH, ratio**2, single=7) - t)


def _ratio(x: Any, mean: Any) -> Any:
    """x / mean, 1 where x is 0."""
    positive = x > 0
    return jnp.where(positive, x, 1.0) / jnp.where(positive, mean, 1.0)


def _horner(coefficients: tuple[float, ...], x: Any, *, single: int) -> Any:
    """The polynomial, by as many of its coefficients as float64 or, `single`, float32 can tell."""
    told = coefficients if x.dtype == jnp.float64 else coefficients[:single]
    value = jnp.full_like(x, told[-1])
    for coefficient in reversed(told[:-1]):
        value = value * x + coefficient
    return value
