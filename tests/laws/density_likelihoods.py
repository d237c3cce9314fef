"""Likelihoods of decoders as their first values make them, of a cell and its outputs."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import jax
import jax.numpy as jnp
from density_cases import Density
from digits import PI, D, log1m_exp, log_gamma, log_sum

from taut.models.likelihoods import make_likelihood

__all__ = ["LIKELIHOODS"]

LEVELS = 256
_LEVELS = {"discretized-logistic": LEVELS, "categorical": 3, "cumulative-logit": 4}


def _of(
    name: str,
    exact: Callable[..., Decimal],
    points: Sequence[tuple[float, ...]],
    real: bool = False,
) -> Density:
    def log_prob(x: jax.Array, *outputs: jax.Array) -> jax.Array:
        likelihood = make_likelihood(name, shape=(), levels=_LEVELS.get(name))
        return likelihood.log_prob(x, jnp.stack(outputs))

    return Density(log_prob, exact, points, tuple(range(0 if real else 1, len(points[0]))))


def _log_sigmoid(x: Decimal) -> Decimal:
    return -x - (1 + (-x).exp()).ln() + x if x > 0 else x - (1 + x.exp()).ln()


def _softplus(x: Decimal) -> Decimal:
    return (1 + x.exp()).ln()


def _poisson(x: Decimal, w: Decimal) -> Decimal:
    return x * w - w.exp() - log_gamma(x + 1)


def _negative_binomial(x: Decimal, w: Decimal) -> Decimal:
    """At the first inverse dispersion, of 1 above its floor."""
    r = D("1.001")
    powers = (x + r) * (r + w.exp()).ln()
    return log_gamma(x + r) - log_gamma(r) - log_gamma(x + 1) + r * r.ln() + x * w - powers


def _inflated(base: Callable[..., Decimal]) -> Callable[..., Decimal]:
    def exact(x: Decimal, w: Decimal, gate: Decimal) -> Decimal:
        counted = base(x, w) - _softplus(gate)
        return counted if x else log_sum(counted, -_softplus(-gate))

    return exact


def _discretized(x: Decimal, o: Decimal, raw: Decimal) -> Decimal:
    last = D(LEVELS - 1)
    code = round(x * last)
    loc, scale = (1 + o) / 2, D("0.0625") / last + _softplus(raw) / 2
    upper, lower = ((code + h) / last for h in (D("0.5"), D("-0.5")))
    if code == 0:
        return _log_sigmoid((upper - loc) / scale)
    if code == last:
        return _log_sigmoid((loc - lower) / scale)
    inside = log1m_exp(-1 / (last * scale))
    return _log_sigmoid((upper - loc) / scale) + _log_sigmoid((loc - lower) / scale) + inside


def _continuous_bernoulli(x: Decimal, w: Decimal) -> Decimal:
    return x * w - ((w.exp() - 1) / w).ln()


def _bernoulli(x: Decimal, w: Decimal) -> Decimal:
    return _log_sigmoid(w if x else -w)


def _categorical(x: Decimal, *w: Decimal) -> Decimal:
    return w[int(x)] - log_sum(*w)


def _cumulative_logit(x: Decimal, w: Decimal) -> Decimal:
    """At the first cut points, -1, 0 and 1."""
    shares = [1 / (1 + (w - cut).exp()) for cut in (D(-1), D(0), D(1))]
    ends = [D(0), *shares, D(1)]
    return (ends[int(x) + 1] - ends[int(x)]).ln()


def _student_t(x: Decimal, m: Decimal) -> Decimal:
    """At the first scale and degrees of freedom, 1 and 10."""
    constant = log_gamma(D("5.5")) - log_gamma(D(5)) - (10 * PI).ln() / 2
    return constant - D("5.5") * (1 + (x - m) ** 2 / 10).ln()


_RATES = [(x, w) for w in (0.5, 16.0) for x in (0.0, 1.0, 8.9e6, 9.1e6)]
_CODES = [0.0, 1 / 255, 0.5019607843137255, 1.0]

LIKELIHOODS: dict[str, Density] = {
    "poisson": _of("poisson", _poisson, _RATES),
    "negative-binomial": _of("negative-binomial", _negative_binomial, _RATES),
    "zero-inflated-poisson": _of(
        "zero-inflated-poisson",
        _inflated(_poisson),
        [(*p, g) for p in _RATES for g in (-40.0, 1.0)],
    ),
    "zero-inflated-negative-binomial": _of(
        "zero-inflated-negative-binomial",
        _inflated(_negative_binomial),
        [(*p, g) for p in _RATES for g in (-40.0, 1.0)],
    ),
    "discretized-logistic": _of(
        "discretized-logistic",
        _discretized,
        [(x, o, s) for x in _CODES for o in (-0.75, 0.25, 3.0) for s in (-12.0, -3.0, 4.0)],
    ),
    "continuous-bernoulli": _of(
        "continuous-bernoulli",
        _continuous_bernoulli,
        [(x, w) for x in (0.0, 0.25, 1.0) for w in (-200.0, -0.25, 2.0**-20, 40.0)],
        real=True,
    ),
    "bernoulli": _of(
        "bernoulli",
        _bernoulli,
        [(x, w) for x in (0.0, 1.0) for w in (-90.0, -1.5, 0.25, 12.0, 90.0)],
    ),
    "categorical": _of(
        "categorical",
        _categorical,
        [
            (x, *w)
            for x in (0.0, 2.0)
            for w in ((0.5, -1.0, 0.25), (80.0, -1.0, 0.25), (3.0, 88.0, 2.0))
        ],
    ),
    "cumulative-logit": _of(
        "cumulative-logit",
        _cumulative_logit,
        [(x, w) for x in (0.0, 1.0, 3.0) for w in (-40.0, -1.5, 0.25, 12.0, 40.0)],
    ),
    "student-t": _of(
        "student-t", _student_t, [(x, 0.5) for x in (-1e6, -40.0, 0.75, 40.0)], real=True
    ),
    "gaussian": _of(
        "gaussian",
        lambda x, m: -((x - m) ** 2) / 2 - (2 * PI).ln() / 2,
        [(x, 0.5) for x in (-40.0, 0.75, 40.0)],
        real=True,
    ),
}
