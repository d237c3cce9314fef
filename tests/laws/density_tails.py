"""Continuous densities and both of their tails, at the centre and up to 40 scales out."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from density_family import Family
from digits import (
    PI,
    D,
    arctan,
    log1m_exp,
    log_beta_tails,
    log_gamma,
    log_gamma_tails,
    log_normal_tail,
    log_sum,
)
from numpyro.distributions import transforms

__all__ = ["LINE", "TAILS"]

HALF, LOG_2 = D("0.5"), D(2).ln()


def _location_scale(
    make: Callable[..., Any],
    log_density: Callable[..., Decimal],
    log_below: Callable[..., Decimal],
    log_above: Callable[..., Decimal],
    values: Sequence[float] = (-40.0, -20.0, -5.0, -0.5, 0.25, 5.0, 10.0, 20.0, 40.0),
    parameters: Sequence[tuple[float, ...]] = ((0.0, 1.0),),
) -> Family:
    """Of y = (x - loc) / scale, the last two parameters, and what comes before them."""

    def at(f: Callable[..., Decimal]) -> Callable[..., Decimal]:
        return lambda x, *p: f((x - p[-2]) / p[-1], *p[:-2])

    return Family(
        make,
        lambda x, *p: log_density((x - p[-2]) / p[-1], *p[:-2]) - p[-1].ln(),
        at(log_below), at(log_above), parameters, values,
    )  # fmt: skip


def _student_tail(y: Decimal, df: Decimal) -> Decimal:
    if y < 0:
        return log1m_exp(_student_tail(-y, df))
    if y == 0:
        return -LOG_2
    return log_beta_tails(df / 2, HALF, df / (df + y * y))[0] - LOG_2


def _student_density(y: Decimal, df: Decimal) -> Decimal:
    constant = log_gamma((df + 1) / 2) - log_gamma(df / 2) - (df * PI).ln() / 2
    return constant - (df + 1) / 2 * (1 + y * y / df).ln()


def _laplace_above(y: Decimal) -> Decimal:
    return -y - LOG_2 if y > 0 else log1m_exp(y - LOG_2)


def _asymmetric(y: Decimal, k: Decimal, side: int) -> Decimal:
    """The density and its tails in standard units, by AsymmetricLaplace's two scales 1 / k and k."""
    top = 1 + k * k
    if side == 0:
        return (-y * k if y > 0 else y / k) + (k / top).ln()
    above = -y * k - top.ln() if y > 0 else log1m_exp(y / k + (k * k / top).ln())
    return above if side > 0 else log1m_exp(above)


def _arc(y: Decimal) -> Decimal:
    """The angle of (y, 1): pi / 2 - arctan y, to all its digits."""
    return arctan(1 / y) if y > 0 else PI / 2 - arctan(y)


def _soft_above(y: Decimal) -> Decimal:
    return arctan((-y).exp()).ln() + (2 / PI).ln()


def _log_erf(y: Decimal) -> Decimal:
    """log P(|N| < y)."""
    return log1m_exp(LOG_2 + log_normal_tail(y))


def _hazard(
    make: Callable[..., Any],
    cumulative: Callable[..., Decimal],
    log_rate: Callable[..., Decimal],
    parameters: Sequence[tuple[float, ...]],
    values: Sequence[float],
) -> Family:
    return Family(
        make,
        lambda x, *p: log_rate(x, *p) - cumulative(x, *p),
        lambda x, *p: log1m_exp(-cumulative(x, *p)),
        lambda x, *p: -cumulative(x, *p),
        parameters, values,
    )  # fmt: skip


def _gamma_density(x: Decimal, a: Decimal, rate: Decimal) -> Decimal:
    return a * rate.ln() + (a - 1) * x.ln() - rate * x - log_gamma(a)


def _beta_density(x: Decimal, a: Decimal, b: Decimal) -> Decimal:
    powers = (a - 1) * x.ln() + (b - 1) * (1 - x).ln()
    return powers + log_gamma(a + b) - log_gamma(a) - log_gamma(b)


def _negative_binomial(x: Decimal, r: Decimal, rate: Decimal) -> Decimal:
    powers = r * (rate / (1 + rate)).ln() - x * (1 + rate).ln()
    return log_gamma(x + r) - log_gamma(r) - log_gamma(x + 1) + powers


def _log_powers(a: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """The log of the integral of x^a from low to high."""
    s = a + 1
    return (((s * high.ln()).exp() - (s * low.ln()).exp()) / s).ln()


def _dagum_below(x: Decimal, p: Decimal, a: Decimal, b: Decimal) -> Decimal:
    return -p * (1 + (b / x) ** a).ln()


_POSITIVE = (1e-3, 0.5, 3.0, 10.0, 40.0)

LINE: dict[str, Family] = {
    "Normal": _location_scale(
        dist.Normal,
        lambda y: -y * y / 2 - (2 * PI).ln() / 2,
        lambda y: log_normal_tail(-y),
        log_normal_tail,
        parameters=((0.0, 1.0), (3.0, 0.5)),
    ),
    "Logistic": _location_scale(
        dist.Logistic,
        lambda y: -y - 2 * (1 + (-y).exp()).ln(),
        lambda y: -(1 + (-y).exp()).ln(),
        lambda y: -(1 + y.exp()).ln(),
        (-400.0, -40.0, -5.0, 0.25, 10.0, 40.0, 400.0),
    ),
    "Laplace": _location_scale(
        dist.Laplace,
        lambda y: -abs(y) - LOG_2,
        lambda y: _laplace_above(-y),
        _laplace_above,
        (-400.0, -40.0, -5.0, 0.25, 10.0, 40.0, 400.0),
    ),
    "Cauchy": _location_scale(
        dist.Cauchy,
        lambda y: -PI.ln() - (1 + y * y).ln(),
        lambda y: (_arc(-y) / PI).ln(),
        lambda y: (_arc(y) / PI).ln(),
        (-1e6, -40.0, -1.0, 0.25, 10.0, 40.0, 1e6),
    ),
    "SoftLaplace": _location_scale(
        dist.SoftLaplace,
        lambda y: (2 / PI).ln() - (y.exp() + (-y).exp()).ln(),
        lambda y: _soft_above(-y),
        _soft_above,
        (-400.0, -40.0, -5.0, 0.25, 10.0, 40.0, 400.0),
    ),
    "StudentT": _location_scale(
        dist.StudentT,
        _student_density,
        lambda y, df: _student_tail(-y, df),
        _student_tail,
        (-40.0, -5.0, -1.0, 0.25, 2.0, 10.0, 40.0),
        ((1.5, 0.0, 1.0), (50.0, 3.0, 0.5)),
    ),
}

TAILS: dict[str, Family] = {
    **LINE,
    "Gumbel": _location_scale(
        dist.Gumbel,
        lambda y: -y - (-y).exp(),
        lambda y: -(-y).exp(),
        lambda y: log1m_exp(-(-y).exp()),
        (-4.0, -0.5, 3.0, 20.0, 40.0, 400.0),
    ),
    "AsymmetricLaplace": _location_scale(
        lambda k, loc, scale: dist.AsymmetricLaplace(loc, scale, k),
        lambda y, k: _asymmetric(y, k, 0),
        lambda y, k: _asymmetric(y, k, -1),
        lambda y, k: _asymmetric(y, k, 1),
        (-40.0, -5.0, 0.25, 10.0, 40.0),
        ((0.5, 0.0, 1.0), (3.0, 2.0, 0.5)),
    ),
    "HalfNormal": Family(
        dist.HalfNormal,
        lambda x, s: -((x / s) ** 2) / 2 - (PI / 2).ln() / 2 - s.ln(),
        lambda x, s: _log_erf(x / s),
        lambda x, s: LOG_2 + log_normal_tail(x / s),
        [(1.0,), (4.0,)],
        _POSITIVE,
    ),
    "HalfCauchy": Family(
        dist.HalfCauchy,
        lambda x, s: (2 / PI).ln() - s.ln() - (1 + (x / s) ** 2).ln(),
        lambda x, s: (2 * arctan(x / s) / PI).ln(),
        lambda x, s: (2 * arctan(s / x) / PI).ln(),
        [(1.0,), (4.0,)],
        (1e-3, 0.5, 40.0, 1e6),
    ),
    "Exponential": _hazard(
        dist.Exponential, lambda x, r: r * x, lambda x, r: r.ln(), [(1.0,), (20.0,)], _POSITIVE
    ),
    "Weibull": _hazard(
        lambda c, s: dist.Weibull(s, c),
        lambda x, c, s: (x / s) ** c,
        lambda x, c, s: (c / s).ln() + (c - 1) * (x / s).ln(),
        [(0.5, 1.0), (2.5, 4.0)],
        _POSITIVE,
    ),
    "Gompertz": _hazard(
        dist.Gompertz,
        lambda x, c, r: c * ((r * x).exp() - 1),
        lambda x, c, r: (c * r).ln() + r * x,
        [(0.5, 0.25), (0.001, 1.0)],
        (0.01, 0.5, 3.0, 10.0),
    ),
    "Gamma": Family(
        dist.Gamma,
        _gamma_density,
        lambda x, a, r: log_gamma_tails(a, r * x)[0],
        lambda x, a, r: log_gamma_tails(a, r * x)[1],
        [(0.5, 1.0), (4.0, 2.0), (30.0, 10.0)],
        (0.01, 0.5, 3.0, 40.0, 400.0),
    ),
    "Beta": Family(
        dist.Beta,
        _beta_density,
        lambda x, a, b: log_beta_tails(a, b, x)[0],
        lambda x, a, b: log_beta_tails(a, b, x)[1],
        [(0.5, 0.5), (3.0, 20.0), (40.0, 2.0)],
        (1e-3, 0.25, 0.75, 0.984375),
    ),
    "Poisson": Family(
        dist.Poisson,
        lambda x, m: x * m.ln() - m - log_gamma(x + 1),
        lambda x, m: log_gamma_tails(x + 1, m)[1],
        lambda x, m: log_gamma_tails(x + 1, m)[0],
        [(0.5,), (40.0,)],
        (0.0, 3.0, 40.0, 300.0),
        counted=True,
    ),
    "NegativeBinomialLogits": Family(
        dist.NegativeBinomialLogits,
        lambda x, r, w: _negative_binomial(x, r, (-w).exp()),
        lambda x, r, w: log_beta_tails(r, x + 1, 1 / (1 + w.exp()))[0],
        lambda x, r, w: log_beta_tails(r, x + 1, 1 / (1 + w.exp()))[1],
        [(0.5, 1.0), (20.0, -2.0)],
        (0.0, 3.0, 40.0, 300.0),
        counted=True,
    ),
    "LogNormal": Family(
        dist.LogNormal,
        lambda x, m, s: -(((x.ln() - m) / s) ** 2) / 2 - (2 * PI).ln() / 2 - s.ln() - x.ln(),
        lambda x, m, s: log_normal_tail(-(x.ln() - m) / s),
        lambda x, m, s: log_normal_tail((x.ln() - m) / s),
        [(0.0, 1.0), (1.0, 0.25)],
        (0.01, 0.5, 3.0, 1e4),
    ),
    "Pareto": Family(
        dist.Pareto,
        lambda x, s, a: a.ln() + a * s.ln() - (a + 1) * x.ln(),
        lambda x, s, a: log1m_exp(a * (s / x).ln()),
        lambda x, s, a: a * (s / x).ln(),
        [(1.0, 3.0), (0.5, 20.0)],
        (1.25, 3.0, 40.0, 1e6),
    ),
    "InverseGamma": Family(
        dist.InverseGamma,
        lambda x, a, r: _gamma_density(1 / x, a, r) - 2 * x.ln(),
        lambda x, a, r: log_gamma_tails(a, r / x)[1],
        lambda x, a, r: log_gamma_tails(a, r / x)[0],
        [(0.5, 1.0), (4.0, 2.0)],
        (0.01, 0.5, 3.0, 40.0),
    ),
    "LogUniform": Family(
        dist.LogUniform,
        lambda x, a, b: -x.ln() - (b / a).ln().ln(),
        lambda x, a, b: ((x / a).ln() / (b / a).ln()).ln(),
        lambda x, a, b: ((b / x).ln() / (b / a).ln()).ln(),
        [(0.5, 1e4)],
        (0.75, 3.0, 9e3),
    ),
    "Uniform": Family(
        dist.Uniform,
        lambda x, a, b: -(b - a).ln(),
        lambda x, a, b: ((x - a) / (b - a)).ln(),
        lambda x, a, b: ((b - x) / (b - a)).ln(),
        [(-1.0, 3.0)],
        (-0.9375, 0.25, 2.875),
    ),
    "Levy": Family(
        dist.Levy,
        lambda x, m, c: (c / (2 * PI)).ln() / 2 - c / (2 * (x - m)) - (x - m).ln() * 3 / 2,
        lambda x, m, c: LOG_2 + log_normal_tail((c / (x - m)).sqrt()),
        lambda x, m, c: _log_erf((c / (x - m)).sqrt()),
        [(0.0, 1.0), (-1.0, 4.0)],
        (0.01, 0.5, 40.0, 1e6),
    ),
    "Dagum": Family(
        dist.Dagum,
        lambda x, p, a, b: (
            (a * p / x).ln() + a * p * (x / b).ln() - (p + 1) * (1 + (x / b) ** a).ln()
        ),
        _dagum_below,
        lambda x, *p: log1m_exp(_dagum_below(x, *p)),
        [(0.5, 2.0, 1.0), (3.0, 4.0, 2.0)],
        (0.01, 0.5, 40.0, 1e5),
    ),
    "LowerTruncatedPowerLaw": Family(
        dist.LowerTruncatedPowerLaw,
        lambda x, a, low: (-a - 1).ln() - low.ln() + a * (x / low).ln(),
        lambda x, a, low: log1m_exp((a + 1) * (x / low).ln()),
        lambda x, a, low: (a + 1) * (x / low).ln(),
        [(-3.0, 1.0), (-1.5, 0.5)],
        (1.25, 40.0, 1e6),
    ),
    "DoublyTruncatedPowerLaw": Family(
        dist.DoublyTruncatedPowerLaw,
        lambda x, a, low, high: a * x.ln() - _log_powers(a, low, high),
        lambda x, a, low, high: _log_powers(a, low, x) - _log_powers(a, low, high),
        lambda x, a, low, high: _log_powers(a, x, high) - _log_powers(a, low, high),
        [(-3.0, 0.5, 8.0), (-0.984375, 0.5, 8.0), (2.0, 0.5, 8.0)],
        (0.5625, 3.0, 7.0),
    ),
    "Chi2": Family(
        dist.Chi2,
        lambda x, k: _gamma_density(x, k / 2, HALF),
        lambda x, k: log_gamma_tails(k / 2, x / 2)[0],
        lambda x, k: log_gamma_tails(k / 2, x / 2)[1],
        [(1.0,), (8.0,)],
        (0.01, 3.0, 400.0),
    ),
    "MixtureSameFamily": _location_scale(
        lambda loc, scale: dist.MixtureSameFamily(
            dist.Categorical(jnp.array([0.25, 0.75])),
            dist.Normal(loc + jnp.array([0.0, 2.0]) * scale, scale),
        ),
        lambda y: log_sum(*((w.ln() - (y - m) ** 2 / 2 - (2 * PI).ln() / 2) for w, m in _MIXED)),
        lambda y: log_sum(*(w.ln() + log_normal_tail(m - y) for w, m in _MIXED)),
        lambda y: log_sum(*(w.ln() + log_normal_tail(y - m) for w, m in _MIXED)),
        (-40.0, 0.25, 5.0, 40.0),
    ),
    "TransformedDistribution": _location_scale(
        lambda loc, scale: dist.TransformedDistribution(
            dist.Gumbel(0.0, 1.0), transforms.AffineTransform(loc, -scale)
        ),
        lambda y: y - y.exp(),
        lambda y: log1m_exp(-y.exp()),
        lambda y: -y.exp(),
        (-40.0, -0.5, 3.0),
    ),
}
_MIXED = [(D("0.25"), D(0)), (D("0.75"), D(2))]
