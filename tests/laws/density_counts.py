"""Mass functions: at the edge of their support, at the mean, and 40 standard deviations beyond it."""

import math
from collections.abc import Callable
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from density_cases import Density, of
from digits import D, log_gamma, log_sum

from taut.distributions import accurate

__all__ = ["COUNTS"]

_SIZES = (3.0, 1e4, 1e7)
_SPREADS = (-5.0, 0.0, 5.0, 40.0)


def _around(mean: float, sd: float, top: float = 1.6e7) -> list[float]:
    """0, 1 and whole numbers so many standard deviations from a mean, up to `top`."""
    wanted = [0.0, 1.0, *(round(mean + z * sd) for z in _SPREADS)]
    return sorted({float(x) for x in wanted if 0 <= x <= top})


def _counts(mean: float, r: float = math.inf) -> list[float]:
    return _around(mean, math.sqrt(mean + mean**2 / r))


def _successes(n: float, p: float, total: float = math.inf) -> list[float]:
    spread = n * p * (1 - p) * (1 if total == math.inf else (total + n) / (total + 1))
    return _around(n * p, math.sqrt(spread), n)


def _poisson(x: Decimal, rate: Decimal) -> Decimal:
    return (x * rate.ln() if x else D(0)) - rate - log_gamma(x + 1)


def _negative_binomial(x: Decimal, r: Decimal, mean: Decimal) -> Decimal:
    powers = (x * (mean / (r + mean)).ln() if x else D(0)) + r * (r / (r + mean)).ln()
    return log_gamma(x + r) - log_gamma(r) - log_gamma(x + 1) + powers


def _choose(n: Decimal, x: Decimal) -> Decimal:
    return log_gamma(n + 1) - log_gamma(x + 1) - log_gamma(n - x + 1)


def _log_beta(a: Decimal, b: Decimal) -> Decimal:
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


def _binomial(x: Decimal, n: Decimal, logit: Decimal) -> Decimal:
    return _choose(n, x) - x * (1 + (-logit).exp()).ln() - (n - x) * (1 + logit.exp()).ln()


def _beta_binomial(x: Decimal, n: Decimal, a: Decimal, b: Decimal) -> Decimal:
    return _choose(n, x) + _log_beta(a + x, b + n - x) - _log_beta(a, b)


def _beta_negative_binomial(x: Decimal, n: Decimal, a: Decimal, b: Decimal) -> Decimal:
    count = log_gamma(n + x) - log_gamma(n) - log_gamma(x + 1)
    return count + _log_beta(a + x, b + n) - _log_beta(a, b)


def _multinomial(x: Decimal, y: Decimal, z: Decimal, *logits: Decimal) -> Decimal:
    counts, total = (x, y, z), log_sum(*logits)
    each = (c * (w - total) - log_gamma(c + 1) for c, w in zip(counts, logits, strict=True))
    return log_gamma(x + y + z + 1) + sum(each, D(0))


def _dirichlet_multinomial(x: Decimal, y: Decimal, z: Decimal, *a: Decimal) -> Decimal:
    n, total = x + y + z, sum(a, D(0))
    pairs = zip((x, y, z), a, strict=True)
    each = (log_gamma(c + b) - log_gamma(b) - log_gamma(c + 1) for c, b in pairs)
    return log_gamma(n + 1) + log_gamma(total) - log_gamma(total + n) + sum(each, D(0))


def _inflated(x: Decimal, gate: Decimal, rate: Decimal) -> Decimal:
    counted = (1 - gate).ln() + _poisson(x, rate)
    return counted if x else log_sum(gate.ln(), counted)


def _hurdle(x: Decimal, gate: Decimal, rate: Decimal) -> Decimal:
    if not x:
        return gate.ln()
    return (1 - gate).ln() + _poisson(x, rate) - (1 - (-rate).exp()).ln()


def _triple(distribution: type) -> Callable[..., jax.Array]:
    """The log-mass of three categories, whose counts and parameters are six arguments."""

    def log_prob(*args: jax.Array) -> jax.Array:
        x, parameters = jnp.stack(args[:3]), jnp.stack(args[3:])
        return accurate(distribution(parameters, total_count=x.sum())).log_prob(x)

    return log_prob


_UNLIKE = ((1e7, 1e-3), (3.0, 1e8))
_SHAPES = (1e-3, 10.0, 1e4, 1e8)
_MIXED = [(m, r) for m in _SIZES for r in _SHAPES]
_TRIPLES = [
    (0.0, 3.0, 1.0), (2.0, 0.0, 0.0), (1e4, 3e4, 1e4), (1e7, 2e6, 3e6), (2e6, 6e6, 5.0),
]  # fmt: skip

COUNTS: dict[str, Density] = {
    "Poisson": of(dist.Poisson, _poisson, [(x, m) for m in _SIZES for x in _counts(m)]),
    "GammaPoisson": of(
        dist.GammaPoisson,
        lambda x, r, rate: _negative_binomial(x, r, r / rate),
        [(x, r, 0.5**k * r) for r in _SHAPES for k in (1, 23) for x in _counts(2.0**k, r)],
    ),
    "NegativeBinomialLogits": of(
        dist.NegativeBinomialLogits,
        lambda x, r, logit: _negative_binomial(x, r, r * logit.exp()),
        [(x, r, math.log(m / r)) for m, r in _MIXED for x in _counts(m, r)]
        # Rare probabilities, with either count the larger one.
        + [(x, r, s * a) for a in (31.0, 90.0) for s in (-1, 1) for x, r in ((4.0, 2.0), *_UNLIKE)],
    ),
    "NegativeBinomialProbs": of(
        dist.NegativeBinomialProbs,
        lambda x, r, p: _negative_binomial(x, r, r * p / (1 - p)),
        [(x, r, p) for r in (0.5, 1e4) for p in (0.125, 0.75) for x in _counts(r * p / (1 - p), r)],
    ),
    "NegativeBinomial2": of(
        dist.NegativeBinomial2,
        lambda x, mean, r: _negative_binomial(x, r, mean),
        # It keeps r / m in place of the mean, of which a large r leaves the slope in r no digits.
        [(x, m, r) for m, r in _MIXED if r < 1e8 for x in _counts(m, r)],
    ),
    "BinomialProbs": of(
        lambda n, p: dist.BinomialProbs(p, n),
        lambda x, n, p: _binomial(x, n, (p / (1 - p)).ln()),
        [(x, n, p) for n in (7.0, 1e7) for p in (0.125, 0.75) for x in _successes(n, p)],
        (2,),
    ),
    "BinomialLogits": of(
        lambda n, logit: dist.BinomialLogits(logit, n),
        _binomial,
        [
            (x, n, logit)
            for n in (7.0, 1e7)
            for logit in (-9.0, 0.5)
            for x in (*_successes(n, 1 / (1 + math.exp(-logit))), n)
        ]
        + [(2.0, 7.0, -200.0), (1e7 - 1, 1e7, 60.0)],
        (2,),
    ),
    "BetaBinomial": of(
        lambda n, a, b: dist.BetaBinomial(a, b, n),
        _beta_binomial,
        [
            (x, n, a, b)
            for n in (7.0, 1e7)
            for a, b in ((0.5, 2.0), (30.0, 1e4), (1e6, 2e6))
            for x in (*_successes(n, a / (a + b), a + b), n)
        ],
        (2, 3),
    ),
    "BetaNegativeBinomial": of(
        lambda n, a, b: dist.BetaNegativeBinomial(a, b, n),
        _beta_negative_binomial,
        [
            (x, n, a, b)
            for x in (0.0, 3.0, 1e4, 1e7)
            for n in (0.5, 1e4)
            for a, b in ((0.5, 2.0), (1e6, 2e3))
        ],
    ),
    "MultinomialLogits": Density(
        _triple(dist.MultinomialLogits),
        _multinomial,
        [(*counts, *w) for counts in _TRIPLES for w in ((-1.0, 2.0, 0.5), (-150.0, 0.0, 3.0))],
        (3, 4, 5),
    ),
    "MultinomialProbs": Density(
        _triple(dist.MultinomialProbs),
        lambda x, y, z, *p: _multinomial(x, y, z, *(q.ln() for q in p)),
        [(*counts, *p) for counts in _TRIPLES for p in ((0.5, 0.25, 0.25), (0.125, 0.75, 0.125))],
        (3, 4, 5),
    ),
    "DirichletMultinomial": Density(
        _triple(dist.DirichletMultinomial),
        _dirichlet_multinomial,
        [(*counts, *a) for counts in _TRIPLES for a in ((0.5, 2.0, 3.0), (1e4, 2e6, 5e5))],
        (3, 4, 5),
    ),
    "ZeroInflatedProbs": of(
        lambda gate, rate: dist.ZeroInflatedPoisson(gate, rate),
        _inflated,
        [(x, g, m) for m in (3.0, 200.0) for g in (1e-30, 0.25) for x in _counts(m)],
    ),
    "ZeroInflatedLogits": of(
        lambda logit, rate: dist.ZeroInflatedDistribution(dist.Poisson(rate), gate_logits=logit),
        lambda x, logit, rate: _inflated(x, 1 / (1 + (-logit).exp()), rate),
        [(x, g, m) for m in (3.0, 200.0) for g in (-60.0, 1.0, 40.0) for x in _counts(m)],
    ),
    "HurdleProbs": of(
        dist.HurdlePoisson,
        _hurdle,
        [(x, g, m) for m in (1e-4, 3.0) for g in (1e-30, 0.25) for x in _counts(m)],
    ),
    "HurdleLogits": of(
        lambda logit, rate: dist.HurdleDistribution(dist.Poisson(rate), gate_logits=logit),
        lambda x, logit, rate: _hurdle(x, 1 / (1 + (-logit).exp()), rate),
        [(x, g, m) for m in (1e-4, 3.0) for g in (-60.0, 1.0, 40.0) for x in _counts(m)],
    ),
    "GeometricProbs": of(
        dist.GeometricProbs,
        lambda x, p: x * (1 - p).ln() + p.ln(),
        [(x, p) for x in (0.0, 1.0, 50.0, 1e7) for p in (1e-7, 0.25, 0.875)],
    ),
    "GeometricLogits": of(
        dist.GeometricLogits,
        lambda x, w: -x * (1 + w.exp()).ln() - (1 + (-w).exp()).ln(),
        [(x, w) for x in (0.0, 1.0, 50.0, 1e7) for w in (-60.0, -15.0, 1.0, 40.0)],
    ),
}
