"""The M-step of the inverse dispersion r of negative binomials, from sums that add up over rows.

Over rows with responsibilities, with u = 1 / r, the means m at their maxima, and h(u) as below, the
expected log-likelihood is, but for a constant,

    f(u) = sum_n sum_{j < x_n} log(1 + j u) - n h(u),    h(u) = (1 / u + m) log(1 + m u)

and has one peak at most inside (Levin and Reeds 1977). Two steps raise it, and the farther one is taken:

    EM           log r - digamma(r) = log(r' + m) - sum_n digamma(r' + x_n) / n
    quadratic    the maximum of a bound of f that touches it at u' = 1 / r'

EM has the rates of the Poisson, lambda ~ Gamma(r, r / m), as missing data, and a free factor from rates
to means that moves nothing but the speed (parameter-expanded EM, Liu, Rubin and Wu 1998). It is fast
where counts spread widely and stands still near the Poisson. There the other step is nearly Newton's:
as (d/du)^2 log(1 + j u) >= -j^2,

    f(u) >= f(u') + g (u - u') - c (u - u')^2 / 2 - n (h(u) - h(u')),    c = sum_n sum_{j < x_n} j^2
    g = sum_n sum_{j < x_n} j / (1 + j u') = r' sum_n (x_n - r' (digamma(r' + x_n) - digamma(r')))
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, polygamma
from jaxtyping import Array, Float

from taut.distributions.stirling import digamma_excess, log_ratio_excess

__all__ = ["LARGEST_R", "LEAST_R", "inverse_dispersions", "squares_below"]

LEAST_R, LARGEST_R = 1e-3, 1e6
"""Bounds of the inverse dispersion; at the upper one the variance is the Poisson's to m / 1e6."""
_NEWTON = 6  # steps, each of which doubles the digits
_HALVINGS = 50


def squares_below(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The sum of j^2 over 0 <= j < x."""
    return x * (x - 1) * (2 * x - 1) / 6


def inverse_dispersions(
    old: Float[Array, "K D"],
    means: Float[Array, "K D"],
    logs: Float[Array, "K D"],
    squares: Float[Array, "K D"],
) -> Float[Array, "K D"]:
    """The new r.

    Arguments:
        old: r'.
        means: m.
        logs: mean of digamma(r' + x).
        squares: mean of `squares_below`(x).
    """
    by_em = 1 / jnp.clip(_shape(jnp.log(old + means) - logs), LEAST_R, LARGEST_R)
    by_bound = _maximum_of_bound(1 / old, means, logs, squares)
    farther = jnp.abs(by_bound - 1 / old) > jnp.abs(by_em - 1 / old)
    return 1 / jnp.where(farther, by_bound, by_em)


def _maximum_of_bound(
    old: Float[Array, "K D"],
    means: Float[Array, "K D"],
    logs: Float[Array, "K D"],
    squares: Float[Array, "K D"],
) -> Float[Array, "K D"]:
    """A u at which the bound is no lower than at u'."""
    slope = (means - (logs - digamma(1 / old)) / old) / old

    def rising(u: Array) -> Array:
        return slope - squares * (u - old) - _h_slope(u, means)

    def gained(u: Array) -> Array:
        change = _h(u, means) - _h(old, means)
        return slope * (u - old) - 0.5 * squares * (u - old) ** 2 - change

    def halved(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        up = rising(middle) > 0
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    up = rising(old) > 0
    low = jnp.where(up, old, 1 / LARGEST_R)
    high = jnp.where(up, 1 / LEAST_R, old)
    low, _ = jax.lax.fori_loop(0, _HALVINGS, halved, (low, high))
    return jnp.where(gained(low) >= 0, low, old)


def _h(u: Float[Array, "K D"], means: Float[Array, "K D"]) -> Float[Array, "K D"]:
    return (1 / u + means) * jnp.log1p(means * u)


def _h_slope(u: Float[Array, "K D"], means: Float[Array, "K D"]) -> Float[Array, "K D"]:
    """dh / du = (m u - log(1 + m u)) / u^2."""
    t = means * u
    return -log_ratio_excess(1 + t, jnp.ones_like(t), t) / u**2


def _shape(gap: Float[Array, "..."]) -> Float[Array, "..."]:
    """The r > 0 at which log r - digamma(r) = gap; the bound where the gap is none."""
    tiny = 0.5 / (4 * LARGEST_R)  # r beyond the upper bound
    gap = jnp.maximum(gap, tiny)
    # Minka, Estimating a Gamma distribution (2002), equation 10: right to 1.5 %.
    start = (3 - gap + jnp.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)

    def step(_: Any, r: Array) -> Array:
        # In 1 / r the function is nearly straight at both ends.
        off = -digamma_excess(r) - gap
        return 1 / (1 / r + off / (r**2 * (1 / r - polygamma(1, r))))

    return jax.lax.fori_loop(0, _NEWTON, step, start)
