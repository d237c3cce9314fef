"""Negative binomials of many counts under many components, in few operations for each pair.

With z = r + x, w = z + 8 and Stirling's series
S(w) = log Gamma(w) - (w - 1/2) log w + w - log(2 pi) / 2,

    log Gamma(z) = log Gamma(w) - log(z (z + 1) ... (z + 7))
    digamma(z) = digamma(w) - sum_i 1 / (z + i)

    log NB(x; m, r) = z log(w / (r + m)) - log(z ... (z + 7) / w^7.5) + S(w) - (x + 8)
                      + log r - s(r) + x log m - log x! + log(2 pi) / 2

with s of `taut.distributions.stirling`: what is large in r is left out of all terms, and rounding is
that of x log m. In float64 only, for the product is of degree 8.
`taut.distributions.count_densities` is right for any number, at twenty times the work.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from taut.distributions.stirling import log_factorial_excess

__all__ = ["digammas", "log_masses"]

# B_2n / (2n (2n - 1)) and B_2n / 2n; from 8 on the first term left out is below 1e-15.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def log_masses(
    x: Float[Array, "N 1"], mean: Float[Array, " K"], r: Float[Array, " K"]
) -> Float[Array, "N K"]:
    """log NB(x; m, r), nats; 0 where x and m are 0, -inf where only m is.

    Arguments:
        x: counts.
        mean: m.
        r: inverse dispersions.
    """
    z, positive = x + r, x > 0
    w = z + 8
    inverse = 1 / w
    factors = _pairs(z)
    product = factors[0] * factors[1] * (factors[2] * factors[3])
    power = (w * w) * (w * w) * (w * w) * w * jnp.sqrt(w)
    # A ratio near 1 has a logarithm without rounding that z would multiply.
    cross = z * jnp.log(w / (r + mean)) - jnp.log(product / power)
    cross = cross + inverse * _horner(_STIRLING, inverse**2)
    by_mean = jnp.where(positive, x * jnp.log(jnp.where(mean > 0, mean, 1.0)), 0.0)
    by_component = jnp.log(r) - log_factorial_excess(r) + 0.5 * math.log(2 * math.pi)
    total = cross + by_mean + by_component - (gammaln(x + 1) + x + 8)
    return jnp.where(positive & (mean <= 0), -jnp.inf, total)


def digammas(x: Float[Array, "N 1"], r: Float[Array, " K"]) -> Float[Array, "N K"]:
    """digamma(r + x)."""
    z = x + r
    inverse = 1 / (z + 8)
    a, b, c, d = _pairs(z)
    series = 0.5 * inverse + inverse**2 * _horner(_DIGAMMA, inverse**2)
    # 1 / (z + i) + 1 / (z + 7 - i) = (2 z + 7) / ((z + i) (z + 7 - i))
    below = (2 * z + 7) * ((a + b) / (a * b) + (c + d) / (c * d))
    return jnp.log(z + 8) - series - below


def _pairs(z: Any) -> tuple[Any, Any, Any, Any]:
    """(z + i) (z + 7 - i), i = 0..3."""
    first = z * (z + 7)
    return first, first + 6, first + 10, first + 12


def _horner(coefficients: tuple[float, ...], x: Any) -> Any:
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
