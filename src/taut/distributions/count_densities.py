"""Log mass functions of counts that hold for counts of any size, and densities of the same form.

With s and D of `taut.distributions.stirling`, and every pair of deviances taken at differences that add
up to 0,

    Poisson              -s(x) - D(x, m)
    binomial             s(n) - s(x) - s(n - x) - D(x, n p) - D(n - x, n q)
    negative binomial    log(r / (r + x)) + binomial of x in r + x at p = m / (r + m)
    beta-binomial        binomial(x; n, p) + beta(a; b, p) - beta(a + x; b + n - x, p),
                         p = (a + x) / (a + b + n), at which the last one has no deviance
    multinomial          s(n) - sum_i (s(x_i) + D(x_i, n p_i))
    Dirichlet            log Gamma and powers of its concentrations in the same way

in nats, where "beta" stands for log x^a (1 - x)^b / B(a, b) at x = p. A parameter in float32 is rounded
by eps: that alone moves a log-mass by eps |x - m| nats, and no form does better.

Source: Loader, Fast and accurate computation of binomial probabilities (2000), sections 2 to 6.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.distributions.stirling import (
    deviance,
    digamma_excess,
    log_factorial_excess,
    log_ratio_excess,
)

__all__ = [
    "log_beta_binomial",
    "log_beta_density",
    "log_binomial",
    "log_binomial_of_logit",
    "log_dirichlet_density",
    "log_dirichlet_multinomial",
    "log_gamma_density",
    "log_multinomial",
    "log_negative_binomial",
    "log_negative_binomial_of_logit",
    "log_poisson",
]

# Probabilities below e^-30 are taken by their logs: in float32 they may not be numbers any more, and a
# count that meets them costs so many nats that none are lost in their difference.
_RARE = -30.0


def log_poisson(x: Any, mean: Any) -> Float[Array, "..."]:
    """log e^-m m^x / x! for counts x with mean m, element by element; nats."""
    x, mean = _floats(x, mean)
    return -log_factorial_excess(x) - deviance(x, mean, x - mean)


def log_binomial(x: Any, n: Any, p: Any, q: Any) -> Float[Array, "..."]:
    """log C(n, x) p^x q^(n - x), element by element; nats.

    Arguments:
        x: successes, 0..n.
        n: trials.
        p: probability of a success.
        q: 1 - p, to the digits that it has of its own.
    """
    x, n, p, q = _floats(x, n, p, q)
    return _binomial_excess(x, n - x) - _binomial_pair(x, n, p, q)


def log_binomial_of_logit(x: Any, n: Any, logit: Any) -> Float[Array, "..."]:
    """log C(n, x) p^x q^(n - x) with logit p, any real, element by element; nats."""
    x, n, logit = _floats(x, n, logit)
    mild, inner, outer = _mild(logit)
    near = _binomial_pair(x, n, jax.nn.sigmoid(inner), jax.nn.sigmoid(-inner))
    return _binomial_excess(x, n - x) - jnp.where(mild, near, _far(x, n - x, outer))


@jax.custom_jvp
def _negative_binomial(
    x: Float[Array, "..."], mean: Float[Array, "..."], r: Float[Array, "..."]
) -> Float[Array, "..."]:
    return _binomial_excess(x, r) - _negative_binomial_pair(x, mean, r) - jnp.log1p(x / r)


@_negative_binomial.defjvp
def _negative_binomial_jvp(
    primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]
) -> tuple[Any, Any]:
    (x, mean, r), (x_dot, mean_dot, r_dot) = primals, tangents
    safe = jnp.where(mean > 0, mean, 1.0)
    by_mean = (x - mean) / safe * (r / (r + mean))
    by_r = log_ratio_excess(r + x, r + mean, x - mean) + digamma_excess(r + x) - digamma_excess(r)
    by_x = (
        digamma_excess(r + x) - digamma_excess(x + 1)
        + jnp.log1p((r - 1) / (x + 1)) - jnp.log1p(r / safe)
    )  # fmt: skip
    return _negative_binomial(x, mean, r), by_x * x_dot + by_mean * mean_dot + by_r * r_dot


def log_negative_binomial(x: Any, mean: Any, r: Any) -> Float[Array, "..."]:
    """The log-mass of counts x with mean m and variance m + m^2 / r, element by element; nats.

    Arguments:
        x: counts.
        mean: m.
        r: inverse dispersion, positive; r to infinity is the Poisson.
    """
    return _negative_binomial(*jnp.broadcast_arrays(*_floats(x, mean, r)))


@jax.custom_jvp
def _negative_binomial_of_logit(
    x: Float[Array, "..."], r: Float[Array, "..."], logit: Float[Array, "..."]
) -> Float[Array, "..."]:
    mild, inner, outer = _mild(logit)
    lost = jnp.where(mild, _negative_binomial_pair(x, r * jnp.exp(inner), r), _far(x, r, outer))
    return _binomial_excess(x, r) - lost - jnp.log1p(x / r)


@_negative_binomial_of_logit.defjvp
def _negative_binomial_of_logit_jvp(
    primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]
) -> tuple[Any, Any]:
    (x, r, logit), (x_dot, r_dot, logit_dot) = primals, tangents
    mild, inner, outer = _mild(logit)
    mean = r * jnp.exp(inner)
    step = (x - mean) / (r + mean)
    near = jnp.abs(step) < 0.5
    log_ratio = jnp.where(
        near, jnp.log1p(jnp.where(near, step, 0.0)), jnp.log((r + x) / (r + mean))
    )
    p, q, _, log_q = _rare_probabilities(outer)
    log_ratio = jnp.where(mild, log_ratio, jnp.log1p(x / r) + log_q)
    by_r = log_ratio + digamma_excess(r + x) - digamma_excess(r)
    by_x = (
        digamma_excess(r + x) - digamma_excess(x + 1)
        + jnp.log1p((r - 1) / (x + 1)) + jax.nn.log_sigmoid(logit)
    )  # fmt: skip
    by_logit = jnp.where(mild, (x - mean) * (r / (r + mean)), x * q - r * p)
    found = _negative_binomial_of_logit(x, r, logit)
    return found, by_x * x_dot + by_r * r_dot + by_logit * logit_dot


def log_negative_binomial_of_logit(x: Any, r: Any, logit: Any) -> Float[Array, "..."]:
    """The same with log m - log r, any real, in place of the mean; nats."""
    return _negative_binomial_of_logit(*_floats(x, r, logit))


def log_beta_binomial(x: Any, rest: Any, a: Any, b: Any) -> Float[Array, "..."]:
    """log C(x + y, x) B(a + x, b + y) / B(a, b), element by element; nats.

    Arguments:
        x: successes.
        rest: failures y, a whole number or not.
        a, b: concentrations of successes and failures, positive.
    """
    x, rest, a, b = _floats(x, rest, a, b)
    n, total = x + rest, a + b
    p, q = (a + x) / (total + n), (b + rest) / (total + n)
    difference = (x * b - rest * a) / (total + n)
    deviances = _pair(x, rest, n * p, n * q, difference)
    deviances += _pair(a, b, total * p, total * q, -difference)
    constant = _binomial_excess(a, b) - _binomial_excess(a + x, b + rest)
    # a b / (a + b) over the same of the posterior, as logs of numbers near one where counts are few.
    constant += jnp.log1p(n / total) - jnp.log1p(x / a) - jnp.log1p(rest / b)
    return _binomial_excess(x, rest) + constant - deviances


def log_multinomial(x: Any, log_p: Any) -> Float[Array, "..."]:
    """log n! prod p_i^x_i / x_i! over the last axis, n the sum of x; nats.

    Arguments:
        x: counts of each of the categories on the last axis.
        log_p: the logs of their probabilities, up to a constant: these are made to add up to one.
    """
    x, log_p = _floats(x, log_p)
    log_p = jax.nn.log_softmax(log_p, axis=-1)
    p, n = jnp.exp(log_p), x.sum(axis=-1, keepdims=True)
    rare = _powers(x, n - x, jnp.minimum(log_p, _RARE)) + n * p - x
    deviances = jnp.where(log_p > _RARE, _balanced(x, n * p, p), rare)
    return log_factorial_excess(n[..., 0]) - (log_factorial_excess(x) + deviances).sum(axis=-1)


def log_dirichlet_multinomial(x: Any, a: Any) -> Float[Array, "..."]:
    """log n! B(a + x) / (B(a) prod x_i!) over the last axis, n the sum of x; nats.

    Arguments:
        x: counts of each of the categories on the last axis.
        a: their concentrations, positive.
    """
    x, a = jnp.broadcast_arrays(*_floats(x, a))
    n, total = (y.sum(axis=-1, keepdims=True) for y in (x, a))
    p = (a + x) / (total + n)
    difference = (x * total - a * n) / (total + n)
    deviances = _balanced(x, n * p, p, difference) + _balanced(a, total * p, p, -difference)
    excess = log_factorial_excess(x) + log_factorial_excess(a) - log_factorial_excess(a + x)
    each = -excess - deviances - jnp.log1p(x / a)
    n, total = n[..., 0], total[..., 0]
    whole = log_factorial_excess(n) + log_factorial_excess(total) - log_factorial_excess(n + total)
    return each.sum(axis=-1) + whole + jnp.log1p(n / total)


def log_gamma_density(x: Any, a: Any, rate: Any) -> Float[Array, "..."]:
    """log-density of Gamma(a, rate) at x > 0, element by element; nats."""
    x, a, rate = _floats(x, a, rate)
    mean = rate * x
    return jnp.log(a) - log_factorial_excess(a) - deviance(a, mean, a - mean) - jnp.log(x)


def log_beta_density(x: Any, y: Any, a: Any, b: Any) -> Float[Array, "..."]:
    """log x^(a - 1) y^(b - 1) / B(a, b) for y = 1 - x in (0, 1), element by element; nats."""
    x, y, a, b = _floats(x, y, a, b)
    deviances = _pair(a, b, (a + b) * x, (a + b) * y, a * y - b * x)
    prior = _binomial_excess(a, b) + jnp.log(a) + jnp.log(b / (a + b))
    return prior - deviances - jnp.log(x) - jnp.log(y)


def log_dirichlet_density(x: Any, a: Any) -> Float[Array, "..."]:
    """log prod x_i^(a_i - 1) / B(a) over the last axis, for x inside the simplex; nats."""
    x, a = jnp.broadcast_arrays(*_floats(x, a))
    total = a.sum(axis=-1, keepdims=True)
    each = jnp.log(a) - log_factorial_excess(a) - jnp.log(x)
    whole = log_factorial_excess(total) - jnp.log(total)
    return (each - _balanced(a, total * x, x)).sum(axis=-1) + whole[..., 0]


def _binomial_excess(x: Any, y: Any) -> Any:
    """s(x + y) - s(x) - s(y)."""
    return log_factorial_excess(x + y) - log_factorial_excess(x) - log_factorial_excess(y)


def _pair(x: Any, y: Any, x_mean: Any, y_mean: Any, difference: Any) -> Any:
    """D(x, x_mean) + D(y, y_mean), where x - x_mean = difference = y_mean - y."""
    return deviance(x, x_mean, difference) + deviance(y, y_mean, -difference)


def _binomial_pair(x: Any, n: Any, p: Any, q: Any) -> Any:
    """The deviances of x and n - x from n p and n q."""
    # The smaller of the two means has the more digits to spare.
    difference = jnp.where(p < q, x - n * p, n * q - (n - x))
    return _pair(x, n - x, n * p, n * q, difference)


def _negative_binomial_pair(x: Any, mean: Any, r: Any) -> Any:
    """The deviances of x and r from their shares of r + x, which are as m and r."""
    n, share = r + x, r / (r + mean)
    return _pair(x, r, n * (mean / (r + mean)), n * share, (x - mean) * share)


def _balanced(x: Any, mean: Any, p: Any, difference: Any = None) -> Any:
    """D(x, mean) of each category, for x and means = sum(x) p of one total.

    What rounding leaves of the sum of the differences is handed back in proportion.
    """
    difference = x - mean if difference is None else difference
    return deviance(x, mean, difference - p * difference.sum(axis=-1, keepdims=True))


def _mild(logit: Any) -> tuple[Any, Any, Any]:
    """Where a logit is one of no rare probability, and logits for either branch."""
    mild = jnp.abs(logit) < -_RARE
    return mild, jnp.where(mild, logit, 0.0), jnp.where(mild, -_RARE, logit)


def _far(x: Any, y: Any, logit: Any) -> Any:
    """The deviances of x and y from (x + y) p and (x + y) q, at a logit beyond those of `_mild`."""
    _, _, log_p, log_q = _rare_probabilities(logit)
    return _powers(x, y, log_p) + _powers(y, x, log_q)


def _rare_probabilities(logit: Any) -> tuple[Any, Any, Any, Any]:
    """p, q = 1 - p, log p and log q at a logit beyond those of `_mild`."""
    rare, high = jax.nn.sigmoid(-jnp.abs(logit)), logit > 0
    log_p, log_q = jnp.minimum(logit, 0.0) - rare, jnp.minimum(-logit, 0.0) - rare
    return jnp.where(high, 1 - rare, rare), jnp.where(high, rare, 1 - rare), log_p, log_q


def _powers(x: Any, rest: Any, log_p: Any) -> Any:
    """x log(x / (n p)) with n = x + rest, which adds up to the deviance over all categories, where p may
    be no number."""
    positive = jnp.where(x > 0, x, 1.0)
    return jnp.where(x > 0, -x * (jnp.log1p(rest / positive) + log_p), 0.0)


def _floats(*values: Any) -> list[Array]:
    """As arrays of one floating type, that with the most digits among them."""
    dtype = jnp.result_type(*values, jnp.result_type(float))
    return [jnp.asarray(value, dtype) for value in values]
