"""Logs of the incomplete gamma and beta functions, both tails, where these underflow too.

    P(a, x) + Q(a, x) = 1,        Q(a, x) = x^a e^-x / Gamma(a) / (x + 1 - a - (1 - a) / (x + 3 - ...))
    I_x(a, b) + I_y(b, a) = 1,    I_x(a, b) = x^a y^b / (a B(a, b)) / (1 + d_1 / (1 + d_2 / ...))

Each is a density, right to the last digit for parameters of any size, times a continued fraction that is
evaluated where it converges: the smaller tail by its fraction, the other one as what is missing to 1.
Everything is differentiable in every argument.

Source: DLMF 8.9.1, 8.9.2, 8.17.22.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import log1mexp
from jaxtyping import Array, Float

from taut.distributions.count_densities import log_beta_density, log_gamma_density

__all__ = ["log_beta_tails", "log_gamma_tails"]

# Terms of the fractions, which converge like that of the Mills ratio. Near the mean of large parameters
# they leave an error: of the incomplete gamma function 1e-13 at a = 1e4, 2e-8 at 1e6, 1e-5 at 1e7.
_TERMS = 400


def log_gamma_tails(
    a: Float[Array, "..."], x: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """log P(a, x) and log Q(a, x), element by element; nats.

    Arguments:
        a: positive.
        x: at least 0.
    """
    a, x = jnp.broadcast_arrays(a, x)
    inside = (x > 0) & (x < jnp.inf)
    safe = jnp.where(inside, x, 1.0)
    powers = log_gamma_density(safe, a, 1.0) + jnp.log(safe)  # of x^a e^-x / Gamma(a)
    upper_side = safe > jnp.maximum(a - _root(a), 1.0)
    low, high = jnp.where(upper_side, a / 2, safe), jnp.where(upper_side, safe, 2 * a + 1)
    above = powers - jnp.log(_upper(a, high))
    below = powers - jnp.log(a) - jnp.log(_lower(a, low))
    return _both(below, above, upper_side, x, inside)


def _upper(a: Array, x: Array) -> Array:
    """The denominator of Q for x > a."""

    def term(n: Array, value: Array) -> Array:
        k = (_TERMS - n).astype(a.dtype)
        return x + 2 * k - 1 - a + k * (a - k) / value

    # What is cut off is about its own next term: the fraction goes on as if its terms stayed the same.
    last, rest = x + 2 * _TERMS + 1 - a, (_TERMS + 1) * (a - _TERMS - 1)
    return jax.lax.fori_loop(0, _TERMS, term, (last + _root(last**2 + 4 * rest)) / 2)


def _root(x: Array) -> Array:
    """The square root, 0 below 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def _lower(a: Array, x: Array) -> Array:
    """The denominator of P for x < a."""

    def pair(n: Array, value: Array) -> Array:
        k = (_TERMS // 2 - n).astype(a.dtype)
        return a + 2 * k - 2 - (a + k - 1) * x / (a + 2 * k - 1 + k * x / value)

    start = a + _TERMS
    # The pairs are those of DLMF 8.9.1 divided by a, whose first term has a in place of a + k - 1.
    return jax.lax.fori_loop(0, _TERMS // 2, pair, start) / a


def log_beta_tails(
    a: Float[Array, "..."], b: Float[Array, "..."], x: Float[Array, "..."], y: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """log I_x(a, b) and log I_y(b, a) for y = 1 - x, element by element; nats.

    Arguments:
        a, b: positive.
        x, y: in [0, 1], each to the digits that it has of its own.
    """
    a, b, x, y = jnp.broadcast_arrays(a, b, x, y)
    inside = (x > 0) & (y > 0)
    safe_x, safe_y = jnp.where(inside, x, 0.5), jnp.where(inside, y, 0.5)
    powers = log_beta_density(safe_x, safe_y, a, b) + jnp.log(safe_x) + jnp.log(safe_y)
    upper_side = safe_x * (b + 1) > safe_y * (a + 1)
    p, q = jnp.where(upper_side, b, a), jnp.where(upper_side, a, b)
    small = powers - jnp.log(p) - jnp.log(_beta(p, q, jnp.where(upper_side, safe_y, safe_x)))
    return _both(small, small, upper_side, jnp.where(y > 0, x, jnp.inf), inside)


def _beta(a: Array, b: Array, x: Array) -> Array:
    """The fraction of I_x for x < (a + 1) / (a + b + 2)."""

    def pair(n: Array, value: Array) -> Array:
        m = (_TERMS // 2 - 1 - n).astype(a.dtype)
        even = (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        return 1 + odd / (1 + even / value)

    return jax.lax.fori_loop(0, _TERMS // 2, pair, jnp.ones_like(x))


def _both(below: Any, above: Any, upper_side: Any, x: Any, inside: Any) -> tuple[Array, Array]:
    """The smaller tail and what is missing to 1; 0 and -inf outside of the support."""
    small = jnp.minimum(jnp.where(upper_side, above, below), -math.ulp(1.0))
    rest = log1mexp(-small)
    log_p = jnp.where(inside, jnp.where(upper_side, rest, small), jnp.where(x > 0, 0.0, -jnp.inf))
    log_q = jnp.where(inside, jnp.where(upper_side, small, rest), jnp.where(x > 0, -jnp.inf, 0.0))
    return log_p, log_q
