"""Classes, angles, simplexes, and continuous families with parameters of millions."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache

import jax.numpy as jnp
import numpyro.distributions as dist
from density_cases import Density, of
from digits import PI, D, log1m_exp, log_gamma, log_sum

from taut.distributions import accurate

__all__ = ["OTHERS", "UNTRIED"]


def _log_sigmoid(x: Decimal) -> Decimal:
    return -(1 + (-x).exp()).ln()


def _ordered(x: Decimal, f: Decimal, low: Decimal, high: Decimal) -> Decimal:
    if x == 0:
        return _log_sigmoid(low - f)
    if x == 2:
        return _log_sigmoid(f - high)
    return _log_sigmoid(high - f) + _log_sigmoid(f - low) + log1m_exp(low - high)


@cache
def _log_bessel(k: Decimal) -> Decimal:
    """log I0(k) by its power series."""
    term = total = D(1)
    n = 0
    while term > total * D("1e-50"):
        n += 1
        term *= k * k / (4 * n * n)
        total += term
    return total.ln()


def _cos(x: Decimal) -> Decimal:
    term = total = D(1)
    for n in range(1, 60):
        term *= -x * x / ((2 * n - 1) * 2 * n)
        total += term
    return total


def _beta(x: Decimal, a: Decimal, b: Decimal) -> Decimal:
    powers = (a - 1) * x.ln() + (b - 1) * (1 - x).ln()
    return powers + log_gamma(a + b) - log_gamma(a) - log_gamma(b)


def _gamma(x: Decimal, a: Decimal, rate: Decimal) -> Decimal:
    return a * rate.ln() + (a - 1) * x.ln() - rate * x - log_gamma(a)


def _normal(x: Decimal, loc: Decimal, scale: Decimal) -> Decimal:
    return -(((x - loc) / scale) ** 2) / 2 - (2 * PI).ln() / 2 - scale.ln()


def _student(x: Decimal, df: Decimal, loc: Decimal, scale: Decimal) -> Decimal:
    constant = log_gamma((df + 1) / 2) - log_gamma(df / 2) - (df * PI).ln() / 2 - scale.ln()
    return constant - (df + 1) / 2 * (1 + ((x - loc) / scale) ** 2 / df).ln()


def _dirichlet(*a: Decimal) -> Decimal:
    parts = zip((D("0.5"), D("0.375"), D("0.125")), a, strict=True)
    each = ((b - 1) * p.ln() - log_gamma(b) for p, b in parts)
    return sum(each, D(0)) + log_gamma(sum(a, D(0)))


def _quantile(y: Decimal, q: Decimal) -> Decimal:
    return (q * (1 - q)).ln() - (q * y if y > 0 else (q - 1) * y)


def _hurdle(density: Callable[..., Decimal]) -> Callable[..., Decimal]:
    return lambda x, g, *p: (1 - g).ln() + density(x, *p) if x else g.ln()


_LARGE = [(z, a) for a in (5.0, 1e4, 1e7) for z in (-5.0, 0.0, 5.0, 40.0)]

OTHERS: dict[str, Density] = {
    "BernoulliLogits": of(
        dist.BernoulliLogits,
        lambda x, w: _log_sigmoid(w if x else -w),
        [(x, w) for x in (0.0, 1.0) for w in (-400.0, -40.0, 0.5, 40.0, 400.0)],
    ),
    "BernoulliProbs": of(
        dist.BernoulliProbs,
        lambda x, p: (p if x else 1 - p).ln(),
        [(x, p) for x in (0.0, 1.0) for p in (1e-30, 1e-6, 0.5, 0.9375)],
    ),
    "CategoricalLogits": Density(
        lambda x, *w: accurate(dist.CategoricalLogits(jnp.stack(w))).log_prob(x.astype(int)),
        lambda x, *w: w[int(x)] - log_sum(*w),
        [(x, a, 0.5, -0.5) for x in (0.0, 1.0, 2.0) for a in (-400.0, -40.0, 2.0, 400.0)],
        (1, 2, 3),
    ),
    "CategoricalProbs": Density(
        lambda x, *p: accurate(dist.CategoricalProbs(jnp.stack(p))).log_prob(x.astype(int)),
        lambda x, *p: p[int(x)].ln(),
        [(x, 1e-30, 0.25, 0.75) for x in (0.0, 1.0, 2.0)],
        (1, 2, 3),
    ),
    "OrderedLogistic": of(
        lambda f, low, high: dist.OrderedLogistic(f, jnp.stack([low, high])),
        _ordered,
        [(x, f, -1.0, 2.0) for x in (0.0, 1.0, 2.0) for f in (-400.0, -40.0, 0.5, 40.0, 400.0)],
    ),
    "VonMises": of(
        dist.VonMises,
        lambda x, m, k: k * _cos(x - m) - (2 * PI).ln() - _log_bessel(k),
        [(x, 0.25, k) for k in (0.5, 40.0, 60.0, 2000.0) for x in (-2.5, 0.2578125, 1.25)],
        (0, 1, 2),
    ),
    "StudentT": of(
        dist.StudentT,
        _student,
        [(x, df, 0.0, 2.0) for df in (2.5, 1e4, 1e7) for x in (-20.0, 0.5, 10.0)],
        (0, 1, 2, 3),
    ),
    "MultivariateStudentT": Density(
        lambda x, df, m, s: accurate(
            dist.MultivariateStudentT(df, m[None], s[None, None])
        ).log_prob(x[None]),
        _student,
        [(x, df, 0.0, 2.0) for df in (2.5, 1e4, 1e7) for x in (-20.0, 0.5, 10.0)],
        (1, 2, 3),
    ),
    "Gamma": of(
        dist.Gamma,
        _gamma,
        [(max(a + z * a**0.5, 0.01) / 2, a, 2.0) for z, a in _LARGE],
        (0, 1, 2),
    ),
    "Beta": of(
        dist.Beta,
        _beta,
        [(0.75 + z * (0.25 / a) ** 0.5 / 8, 3 * a, a) for z, a in _LARGE if z < 40 or a > 5],
        (0, 1, 2),
    ),
    "BetaProportion": of(
        lambda m, k: dist.BetaProportion(m, k),
        lambda x, m, k: _beta(x, m * k, (1 - m) * k),
        [(0.75 + z * (0.25 / a) ** 0.5 / 8, 0.75, 4 * a) for z, a in _LARGE if z < 40 or a > 5],
    ),
    "Dirichlet": Density(
        lambda *a: accurate(dist.Dirichlet(jnp.stack(a))).log_prob(jnp.array([0.5, 0.375, 0.125])),
        _dirichlet,
        [(0.5, 2.0, 3.0), (4e4, 3e4, 1e4), (4.001e6, 3.0e6, 1.0e6)],
        (0, 1, 2),
    ),
    "Kumaraswamy": of(
        dist.Kumaraswamy,
        lambda x, a, b: (a * b).ln() + (a - 1) * x.ln() + (b - 1) * (1 - x**a).ln(),
        [(x, a, b) for x in (1e-3, 0.5, 0.984375) for a, b in ((0.5, 0.5), (4.0, 30.0))],
        (0, 1, 2),
    ),
    "AsymmetricLaplaceQuantile": of(
        lambda m, s, q: dist.AsymmetricLaplaceQuantile(m, s, q),
        lambda x, m, s, q: _quantile((x - m) / s, q) - s.ln(),
        [(x, 0.0, 2.0, q) for x in (-80.0, -0.5, 0.5, 80.0) for q in (0.125, 0.5)],
        (0, 1, 2, 3),
    ),
    "HurdleGamma": of(
        dist.HurdleGamma, _hurdle(_gamma), [(x, 0.25, 4.0, 2.0) for x in (0.0, 0.01, 3.0, 40.0)]
    ),
    "HurdleLogNormal": of(
        dist.HurdleLogNormal,
        _hurdle(lambda x, m, s: _normal(x.ln(), m, s) - x.ln()),
        [(x, 0.25, 0.5, 2.0) for x in (0.0, 0.01, 3.0, 1e6)],
    ),
    "FoldedDistribution": of(
        lambda m, s: dist.FoldedDistribution(dist.Normal(m, s)),
        lambda x, m, s: log_sum(_normal(x, m, s), _normal(-x, m, s)),
        [(x, m, 1.0) for x in (0.25, 3.0, 40.0) for m in (0.0, 2.0)],
    ),
    "MixtureGeneral": of(
        lambda m, s: dist.MixtureGeneral(
            dist.Categorical(jnp.array([0.25, 0.75])), [dist.Normal(m, s), dist.StudentT(4.0, m, s)]
        ),
        lambda x, m, s: log_sum(
            D("0.25").ln() + _normal(x, m, s), D("0.75").ln() + _student(x, D(4), m, s)
        ),
        [(x, 0.5, 2.0) for x in (-80.0, 0.25, 3.0, 80.0)],
    ),
}

_GAUSSIAN = "a Gaussian of several dimensions: its digits are those of a matrix factor"
_MATRIX = "a distribution of matrices, whose degrees of freedom are small"
_PRIOR = "of draws, not of data"
_OUTER = "adds up what stands inside, which has an entry"
UNTRIED: dict[str, str] = {
    **dict.fromkeys(
        (
            "CAR", "CirculantNormal", "GaussianCopula", "GaussianCopulaBeta", "GaussianRandomWalk",
            "GaussianStateSpace", "LowRankMultivariateNormal", "MatrixNormal", "MultivariateNormal",
            "ZeroSumNormal", "EulerMaruyama", "ProjectedNormal",
        ),
        _GAUSSIAN,
    ),
    **dict.fromkeys(
        ("InverseWishart", "InverseWishartCholesky", "LKJ", "LKJCholesky", "Wishart", "WishartCholesky"),
        _MATRIX,
    ),
    **dict.fromkeys(
        ("ImproperUniform", "RelaxedBernoulliLogits", "TruncatedPolyaGamma", "SineBivariateVonMises"),
        _PRIOR,
    ),
    **dict.fromkeys(
        ("ExpandedDistribution", "Independent", "MaskedDistribution", "SineSkewed"), _OUTER
    ),
    **dict.fromkeys(("Delta", "DiscreteUniform", "Distribution", "Unit"), "no arithmetic"),
}  # fmt: skip
