"""Rules for densities whose normalizing constants are large, or whose exponents cancel."""

import math
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import i0e
from jaxtyping import Array

from taut.distributions.continuous_bernoulli import log_normalizer
from taut.distributions.count_densities import (
    log_beta_density,
    log_dirichlet_density,
    log_gamma_density,
)
from taut.distributions.stirling import deviance, log_factorial_excess

__all__ = ["CONTINUOUS", "log_power_integral", "log_student_t_constant"]

_LOG_2PI = math.log(2 * math.pi)
# From here on log I0(k) - k is its asymptotic series, whose terms are below 1e-16 from the 11th; its
# derivative I1 / I0 - 1 would cancel.
_CONCENTRATED = 50.0
_BESSEL_TERMS = 12


def _gamma(d: Any, x: Any) -> Array:
    x = jnp.asarray(x)
    return _inside(d, x, x > 0, lambda x: log_gamma_density(x, d.concentration, d.rate))


def _beta(d: Any, x: Any) -> Array:
    x, a, b = jnp.asarray(x), d.concentration1, d.concentration0
    return _inside(d, x, (x > 0) & (x < 1), lambda x: log_beta_density(x, 1 - x, a, b))


def _dirichlet(d: Any, x: Any) -> Array:
    x = jnp.asarray(x)
    inside = (x > 0).all(axis=-1)
    ours = log_dirichlet_density(jnp.where(inside[..., None], x, 1.0), d.concentration)
    return jnp.where(inside, ours, type(d).log_prob(d, x))


def _student_t(d: Any, x: Any) -> Array:
    df, y = jnp.asarray(d.df), (jnp.asarray(x) - d.loc) / d.scale
    constant = log_student_t_constant(df) - jnp.log(d.scale)
    return constant - 0.5 * (df + 1) * jnp.log1p(y**2 / df)


def log_student_t_constant(df: Array) -> Array:
    """The log-density at 0 of Student's t with scale 1."""
    return _gamma_step(df / 2, 0.5) - 0.5 * _LOG_2PI


def _multivariate_student_t(d: Any, x: Any) -> Array:
    """NumPyro's, with its constant in place of the difference of two log Gammas."""
    normal = dist.MultivariateNormal(d.loc, scale_tril=d.scale_tril)
    # The normal's is -m / 2 - c with m the squared distance and c its value at the centre.
    c = -normal.log_prob(d.loc)
    m, n = -2 * (normal.log_prob(x) + c), d.scale_tril.shape[-1]
    df = jnp.asarray(d.df)
    return _gamma_step(df / 2, n / 2) - c - 0.5 * (df + n) * jnp.log1p(m / df)


def _von_mises(d: Any, x: Any) -> Array:
    """-2 k sin^2((x - loc) / 2) - log 2 pi - log(e^-k I0(k)), where cos(x - loc) - 1 cancels."""
    k = jnp.asarray(d.concentration)
    return -2 * k * jnp.sin((jnp.asarray(x) - d.loc) / 2) ** 2 - _LOG_2PI - _log_i0e(k)


def _truncated_power_law(d: Any, x: Any) -> Array:
    """log of s x^(s - 1) / (high^s - low^s) with s = alpha + 1, also at s = 0.

    NumPyro's value holds, but not its slopes in the bounds.
    """
    s, width = 1 + jnp.asarray(d.alpha), jnp.log(jnp.asarray(d.high) / d.low)
    return d.alpha * jnp.log(x) - s * jnp.log(d.low) - log_power_integral(s, width)


def log_power_integral(s: Array, width: Array) -> Array:
    """log of the integral of e^(s u) over [0, width], which is (e^(s width) - 1) / s."""
    return jnp.log(width) + log_normalizer(s * width)


def _log_i0e(k: Array) -> Array:
    """log I0(k) - k (Abramowitz and Stegun 1964, 9.7.1)."""
    far = k > _CONCENTRATED
    outer, term, series = jnp.where(far, k, _CONCENTRATED), jnp.ones_like(k), jnp.zeros_like(k)
    for n in range(1, _BESSEL_TERMS):
        term = term * (2 * n - 1) ** 2 / (8 * n * outer)
        series = series + term
    asymptotic = jnp.log1p(series) - 0.5 * jnp.log(2 * math.pi * outer)
    return jnp.where(far, asymptotic, jnp.log(i0e(jnp.where(far, 0.0, k))))


def _gamma_step(z: Array, h: float) -> Array:
    """log Gamma(z + h) - log Gamma(z) - h log z."""
    excess = log_factorial_excess(z + h) - log_factorial_excess(z)
    return excess + deviance(z + h, z, jnp.full_like(z, h)) - jnp.log1p(h / z)


def _inside(d: Any, x: Array, inside: Array, ours: Any) -> Array:
    """Our form inside the support and NumPyro's value on its edge."""
    return jnp.where(inside, ours(jnp.where(inside, x, 0.5)), type(d).log_prob(d, x))


CONTINUOUS = {
    dist.Gamma: _gamma,
    dist.Beta: _beta,
    dist.Dirichlet: _dirichlet,
    dist.StudentT: _student_t,
    dist.MultivariateStudentT: _multivariate_student_t,
    dist.VonMises: _von_mises,
    dist.DoublyTruncatedPowerLaw: _truncated_power_law,
}
