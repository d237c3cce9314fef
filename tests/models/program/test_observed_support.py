"""Observed data outside of the support of their distribution are refused, whichever distribution it is.

The table holds for each distribution values that it takes and values that it does not; SciPy's and
textbooks' supports, not NumPyro's constraints.
"""

import re

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints, transforms

from taut.core import InputError
from taut.models.program import NumPyroProgram

HALF, THREE = np.array([0.5, 0.5]), np.arange(3.0)
EYE = np.eye(2)
SYMMETRIC = np.array([[1.0, 0.3], [0.3, 1.0]])
LOWER = np.array([[1.0, 0.0], [0.6, 0.8]])
NAN, INF = np.nan, np.inf
COUNTS, REALS, POSITIVE = [-1.0, 0.5, NAN], [NAN, INF], [-0.75, NAN]
UNIT = [-0.1, 1.1, NAN]
VECTOR = [1.0, -2.0, 0.5]
BENT = np.array([[1.0, 0.0], [0.6, 0.9]])
SHIFT = transforms.AffineTransform(2.0, 1.0)


def exponential(rate=1.0):
    return dist.Exponential(rate)


# name: (distribution, values inside, values outside)
TABLE = {
    "AsymmetricLaplace": (lambda: dist.AsymmetricLaplace(), [0.3, -2.0], REALS),
    "AsymmetricLaplaceQuantile": (lambda: dist.AsymmetricLaplaceQuantile(), [0.3, -2.0], REALS),
    "Bernoulli": (lambda: dist.Bernoulli(0.3), [0, 1], [0.5, 2, -1, NAN]),
    "BernoulliLogits": (lambda: dist.BernoulliLogits(0.3), [0, 1], [0.5, 2, -1, NAN]),
    "BernoulliProbs": (lambda: dist.BernoulliProbs(0.3), [0, 1], [0.5, 2, -1, NAN]),
    "Beta": (lambda: dist.Beta(2.0, 3.0), [0.1, 0.9], UNIT),
    "BetaBinomial": (lambda: dist.BetaBinomial(2.0, 3.0, 5), [0, 5], [6, 2.5, -1]),
    "BetaNegativeBinomial": (lambda: dist.BetaNegativeBinomial(2.0, 3.0, 5.0), [0, 50], COUNTS),
    "BetaProportion": (lambda: dist.BetaProportion(0.3, 3.0), [0.1, 0.9], UNIT),
    "Binomial": (lambda: dist.Binomial(5, 0.3), [0, 5], [6, 2.5, -1, NAN]),
    "BinomialLogits": (lambda: dist.BinomialLogits(0.3, 5), [0, 5], [6, 2.5, -1, NAN]),
    "BinomialProbs": (lambda: dist.BinomialProbs(0.3, 5), [0, 5], [6, 2.5, -1, NAN]),
    "CAR": (lambda: dist.CAR(0.0, 0.5, 1.0, 1.0 - EYE), [VECTOR[:2], HALF], [[NAN, 0.0]]),
    "Categorical": (lambda: dist.Categorical(HALF), [0, 1], [2, -1, 0.5]),
    "CategoricalLogits": (lambda: dist.CategoricalLogits(HALF), [0, 1], [2, -1, 0.5]),
    "CategoricalProbs": (lambda: dist.CategoricalProbs(HALF), [0, 1], [2, -1, 0.5]),
    "Cauchy": (lambda: dist.Cauchy(), [0.3, -2.0], REALS),
    "Chi2": (lambda: dist.Chi2(3.0), [0.3, 2.0], [0.0, *POSITIVE]),
    "CirculantNormal": (
        lambda: dist.CirculantNormal(jnp.zeros(3), jnp.array([2.0, 0.5, 0.5])), [VECTOR, THREE],
        [[0.0, NAN, 0.0]],
    ),
    "Dagum": (lambda: dist.Dagum(2.0, 3.0, 1.0), [0.3, 2.0], [0.0, *POSITIVE]),
    "Delta": (lambda: dist.Delta(2.0), [2.0, 2.0], [1.0, NAN]),
    "Dirichlet": (
        lambda: dist.Dirichlet(jnp.ones(3)), [[0.2, 0.3, 0.5], [0.333333, 0.333333, 0.333334]],
        [[0.2, 0.3, 0.4], [20.0, 30.0, 50.0], [-0.2, 0.7, 0.5], [0.5, NAN, 0.5], [0.0, 0.4, 0.6]],
    ),
    "DirichletMultinomial": (
        lambda: dist.DirichletMultinomial(jnp.ones(3), 5), [[0, 2, 3], [5, 0, 0]],
        [[1, 1, 1], [0.5, 2.5, 2.0], [-1, 3, 3]],
    ),
    "DiscreteUniform": (lambda: dist.DiscreteUniform(2, 4), [2, 4], [1, 5, 2.5]),
    "DoublyTruncatedPowerLaw": (
        lambda: dist.DoublyTruncatedPowerLaw(-2.0, 1.0, 3.0), [1.0, 2.5], [0.9, 3.1, NAN],
    ),
    "EulerMaruyama": (
        lambda: dist.EulerMaruyama(
            jnp.arange(3.0), lambda x, t: (-x, jnp.ones_like(x)), dist.Normal(0.0, 1.0)
        ),
        [VECTOR, THREE], [[0.0, INF, 0.0]],
    ),
    "ExpandedDistribution": (lambda: dist.Poisson(2.0).expand([3]), [0, 3], COUNTS),
    "Exponential": (lambda: exponential(), [0.0, 2.0], POSITIVE),
    "FoldedDistribution": (lambda: dist.FoldedDistribution(dist.Normal()), [0.0, 2.0], POSITIVE),
    "Gamma": (lambda: dist.Gamma(2.0), [0.3, 2.0], [0.0, *POSITIVE]),
    "GammaPoisson": (lambda: dist.GammaPoisson(2.0, 1.0), [0, 3], COUNTS),
    "GaussianCopula": (
        lambda: dist.GaussianCopula(dist.Exponential(jnp.ones(2)), SYMMETRIC), [[0.3, 2.0], HALF],
        [[-0.3, 1.0]],
    ),
    "GaussianCopulaBeta": (
        lambda: dist.GaussianCopulaBeta(jnp.ones(2), jnp.ones(2), SYMMETRIC), [[0.3, 0.2], HALF],
        [[1.3, 0.2]],
    ),
    "GaussianRandomWalk": (lambda: dist.GaussianRandomWalk(1.0, 3), [VECTOR, THREE], [[NAN, 0, 0]]),
    "GaussianStateSpace": (
        lambda: dist.GaussianStateSpace(2, EYE, EYE), [EYE, LOWER], [[[0.0, 0.0], [0.0, NAN]]],
    ),
    "Geometric": (lambda: dist.Geometric(0.3), [0, 3], COUNTS),
    "GeometricLogits": (lambda: dist.GeometricLogits(0.3), [0, 3], COUNTS),
    "GeometricProbs": (lambda: dist.GeometricProbs(0.3), [0, 3], COUNTS),
    "Gompertz": (lambda: dist.Gompertz(1.0), [0.0, 2.0], POSITIVE),
    "Gumbel": (lambda: dist.Gumbel(), [0.3, -2.0], REALS),
    "HalfCauchy": (lambda: dist.HalfCauchy(), [0.0, 2.0], POSITIVE),
    "HalfNormal": (lambda: dist.HalfNormal(), [0.0, 2.0], [-1.0, NAN]),
    "HurdleDistribution": (
        lambda: dist.HurdleDistribution(dist.Gamma(2.0), gate=0.3), [0.0, 1.5], POSITIVE,
    ),
    "HurdleGamma": (lambda: dist.HurdleGamma(0.3, 2.0, 1.0), [0.0, 1.5], POSITIVE),
    "HurdleLogits": (
        lambda: dist.HurdleLogits(dist.Poisson(2.0), 0.3), [0, 3], COUNTS,
    ),
    "HurdleLogNormal": (lambda: dist.HurdleLogNormal(0.3, 0.0, 1.0), [0.0, 1.5], POSITIVE),
    "HurdleNegativeBinomial2": (
        lambda: dist.HurdleNegativeBinomial2(0.3, 2.0, 3.0), [0, 3], COUNTS,
    ),
    "HurdlePoisson": (lambda: dist.HurdlePoisson(0.3, 2.0), [0, 3], COUNTS),
    "HurdleProbs": (lambda: dist.HurdleProbs(dist.Poisson(2.0), 0.3), [0, 3], COUNTS),
    "ImproperUniform": (
        lambda: dist.ImproperUniform(constraints.positive, (), ()), [0.3, 2.0], [0.0, *POSITIVE],
    ),
    "Independent": (
        lambda: dist.Poisson(jnp.ones(2)).to_event(1), [[0, 3], [1, 1]], [[0, -1], [0.5, 1]],
    ),
    "IntervalCensoredDistribution": (
        lambda: dist.IntervalCensoredDistribution(exponential(), jnp.zeros(3), jnp.zeros(3)),
        [[0.0, 2.0], [1.0, INF]], [[2.0, 1.0], [-1.0, 2.0], [-1.0, -1.0], [NAN, 1.0]],
    ),
    "InverseGamma": (lambda: dist.InverseGamma(2.0), [0.3, 2.0], [0.0, *POSITIVE]),
    "InverseWishart": (
        lambda: dist.InverseWishart(3.0, scale_tril=EYE), [EYE, SYMMETRIC],
        [[[1.0, 2.0], [2.0, 1.0]], LOWER],
    ),
    "InverseWishartCholesky": (
        lambda: dist.InverseWishartCholesky(3.0, scale_tril=EYE), [EYE, LOWER],
        [SYMMETRIC, -EYE],
    ),
    "Kumaraswamy": (lambda: dist.Kumaraswamy(2.0, 3.0), [0.1, 0.9], UNIT),
    "Laplace": (lambda: dist.Laplace(), [0.3, -2.0], REALS),
    "LeftCensoredDistribution": (
        lambda: dist.LeftCensoredDistribution(exponential(), jnp.array([0, 1, 0])), [0.3, 0.0],
        POSITIVE,
    ),
    "LeftTruncatedDistribution": (
        lambda: dist.LeftTruncatedDistribution(dist.Normal(), 1.0), [1.0, 3.0], [0.9, NAN],
    ),
    "LeftTruncatedGamma": (
        lambda: dist.LeftTruncatedGamma(dist.Gamma(2.0), 1.0), [1.0, 3.0], [0.9, NAN],
    ),
    "Levy": (lambda: dist.Levy(1.0, 1.0), [1.1, 3.0], [0.9, NAN]),
    "LKJ": (lambda: dist.LKJ(2, 1.0), [EYE, SYMMETRIC], [LOWER, 2 * EYE]),
    "LKJCholesky": (lambda: dist.LKJCholesky(2, 1.0), [EYE, LOWER], [BENT, SYMMETRIC]),
    "LogNormal": (lambda: dist.LogNormal(), [0.3, 2.0], [0.0, *POSITIVE]),
    "LogUniform": (lambda: dist.LogUniform(1.0, 3.0), [1.1, 2.9], [0.9, 3.1, NAN]),
    "Logistic": (lambda: dist.Logistic(), [0.3, -2.0], REALS),
    "LowRankMultivariateNormal": (
        lambda: dist.LowRankMultivariateNormal(jnp.zeros(2), jnp.ones((2, 1)), jnp.ones(2)),
        [HALF, VECTOR[:2]], [[NAN, 0.0]],
    ),
    "LowerTruncatedPowerLaw": (
        lambda: dist.LowerTruncatedPowerLaw(-2.0, 1.0), [1.0, 2.5], [0.9, NAN],
    ),
    "MaskedDistribution": (
        lambda: exponential().mask(jnp.array([True, False, True])), [1.0, -2.0], POSITIVE,
    ),
    "MatrixNormal": (lambda: dist.MatrixNormal(0 * EYE, EYE, EYE), [EYE, LOWER], [[[NAN, 0], [0, 0]]]),
    "Mixture": (
        lambda: dist.Mixture(dist.Categorical(HALF), [exponential(), dist.Gamma(2.0)]), [0.3, 2.0],
        POSITIVE,
    ),
    "MixtureGeneral": (
        lambda: dist.MixtureGeneral(
            dist.Categorical(HALF), [dist.Uniform(0.0, 1.0), dist.Uniform(2.0, 3.0)]
        ),
        [0.5, 2.5], [1.5, -0.5, NAN],
    ),
    "MixtureSameFamily": (
        lambda: dist.MixtureSameFamily(dist.Categorical(HALF), dist.Poisson(1.0 + HALF)), [0, 3],
        COUNTS,
    ),
    "Multinomial": (
        lambda: dist.Multinomial(5, jnp.ones(3) / 3), [[0, 2, 3], [5, 0, 0]],
        [[1, 1, 1], [0.5, 2.5, 2.0], [-1, 3, 3]],
    ),
    "MultinomialLogits": (
        lambda: dist.MultinomialLogits(jnp.zeros(3), 5), [[0, 2, 3], [5, 0, 0]], [[1, 1, 1]],
    ),
    "MultinomialProbs": (
        lambda: dist.MultinomialProbs(jnp.ones(3) / 3, 5), [[0, 2, 3], [5, 0, 0]], [[1, 1, 1]],
    ),
    "MultivariateNormal": (
        lambda: dist.MultivariateNormal(jnp.zeros(2), EYE), [HALF, VECTOR[:2]], [[0.0, INF]],
    ),
    "MultivariateStudentT": (
        lambda: dist.MultivariateStudentT(3.0, jnp.zeros(2), EYE), [HALF, VECTOR[:2]], [[0.0, INF]],
    ),
    "NegativeBinomial": (lambda: dist.NegativeBinomial(3, 0.3), [0, 3], COUNTS),
    "NegativeBinomial2": (lambda: dist.NegativeBinomial2(3.0, 2.0), [0, 3], COUNTS),
    "NegativeBinomialLogits": (lambda: dist.NegativeBinomialLogits(3.0, 0.3), [0, 3], COUNTS),
    "NegativeBinomialProbs": (lambda: dist.NegativeBinomialProbs(3.0, 0.3), [0, 3], COUNTS),
    "Normal": (lambda: dist.Normal(), [0.3, -2.0], REALS),
    "OrderedLogistic": (lambda: dist.OrderedLogistic(0.0, THREE), [0, 3], [4, -1, 0.5]),
    "Pareto": (lambda: dist.Pareto(1.0, 3.0), [1.0, 3.0], [0.9, NAN]),
    "Poisson": (lambda: dist.Poisson(2.0), [0, 3], COUNTS),
    "ProjectedNormal": (
        lambda: dist.ProjectedNormal(jnp.zeros(2)), [[0.6, 0.8], [0.0, 1.0]], [[0.6, 0.6], [3, 4]],
    ),
    "RelaxedBernoulli": (lambda: dist.RelaxedBernoulli(0.5, probs=0.3), [0.1, 0.9], UNIT),
    "RelaxedBernoulliLogits": (lambda: dist.RelaxedBernoulliLogits(0.5, 0.3), [0.1, 0.9], UNIT),
    "RightCensoredDistribution": (
        lambda: dist.RightCensoredDistribution(exponential(), jnp.array([0, 1, 0])), [0.3, 0.0],
        POSITIVE,
    ),
    "RightTruncatedDistribution": (
        lambda: dist.RightTruncatedDistribution(dist.Normal(), 1.0), [1.0, -3.0], [1.1, NAN],
    ),
    "RightTruncatedGamma": (
        lambda: dist.RightTruncatedGamma(dist.Gamma(2.0), 1.0), [0.1, 1.0], [1.1, -0.1],
    ),
    "SineBivariateVonMises": (
        lambda: dist.SineBivariateVonMises(0.0, 0.0, 1.0, 1.0, 0.1), [HALF, [3.5, -3.0]],
        [[270.0, 0.0], [NAN, 0.0]],
    ),
    "SineSkewed": (
        lambda: dist.SineSkewed(
            dist.SineBivariateVonMises(0.0, 0.0, 1.0, 1.0, 0.1), jnp.array([0.1, 0.1])
        ),
        [HALF, [3.5, -3.0]], [[270.0, 0.0]],
    ),
    "SoftLaplace": (lambda: dist.SoftLaplace(0.0, 1.0), [0.3, -2.0], REALS),
    "StudentT": (lambda: dist.StudentT(3.0), [0.3, -2.0], REALS),
    "TransformedDistribution": (
        lambda: dist.TransformedDistribution(exponential(), SHIFT), [2.0, 3.0], [1.9, NAN],
    ),
    "TruncatedCauchy": (
        lambda: dist.TruncatedCauchy(low=-1.0, high=1.0), [-1.0, 0.3], [-1.1, 1.1, NAN],
    ),
    "TruncatedDistribution": (
        lambda: dist.TruncatedDistribution(dist.Normal(), low=-1.0, high=1.0), [-1.0, 0.3],
        [-1.1, 1.1, NAN],
    ),
    "TruncatedGamma": (lambda: dist.TruncatedGamma(2.0, low=1.0), [1.0, 3.0], [0.9, NAN]),
    "TruncatedNormal": (
        lambda: dist.TruncatedNormal(low=-1.0, high=1.0), [-1.0, 0.3], [-1.1, 1.1, NAN],
    ),
    "TruncatedPolyaGamma": (
        lambda: dist.TruncatedPolyaGamma(), [0.3, 1.0], [-0.1, 2.6],
    ),
    "TwoSidedTruncatedDistribution": (
        lambda: dist.TwoSidedTruncatedDistribution(dist.Normal(), -1.0, 1.0), [-1.0, 0.3],
        [-1.1, 1.1, NAN],
    ),
    "TwoSidedTruncatedGamma": (
        lambda: dist.TwoSidedTruncatedGamma(dist.Gamma(2.0), 1.0, 3.0), [1.0, 3.0], [0.9, 3.1],
    ),
    "Uniform": (lambda: dist.Uniform(1.0, 3.0), [1.0, 3.0], [0.9, 3.1, NAN]),
    "VonMises": (lambda: dist.VonMises(0.0, 1.0), [-3.0, 4.0], [270.0, NAN]),
    "Weibull": (lambda: dist.Weibull(1.0, 2.0), [0.3, 2.0], [0.0, *POSITIVE]),
    "Wishart": (
        lambda: dist.Wishart(3.0, scale_tril=EYE), [EYE, SYMMETRIC],
        [[[1.0, 2.0], [2.0, 1.0]], LOWER],
    ),
    "WishartCholesky": (
        lambda: dist.WishartCholesky(3.0, scale_tril=EYE), [EYE, LOWER], [SYMMETRIC, -EYE],
    ),
    "ZeroInflatedDistribution": (
        lambda: dist.ZeroInflatedDistribution(dist.Poisson(2.0), gate=0.3), [0, 3], COUNTS,
    ),
    "ZeroInflatedLogits": (
        lambda: dist.ZeroInflatedLogits(dist.Poisson(2.0), 0.3), [0, 3], COUNTS,
    ),
    "ZeroInflatedNegativeBinomial2": (
        lambda: dist.ZeroInflatedNegativeBinomial2(2.0, 3.0, gate=0.3), [0, 3], COUNTS,
    ),
    "ZeroInflatedPoisson": (lambda: dist.ZeroInflatedPoisson(0.3, 2.0), [0, 3], COUNTS),
    "ZeroInflatedProbs": (
        lambda: dist.ZeroInflatedProbs(dist.Poisson(2.0), 0.3), [0, 3], COUNTS,
    ),
    "ZeroSumNormal": (
        lambda: dist.ZeroSumNormal(1.0, (3,)), [[1.0, -2.0, 1.0], [0.333333, 0.333333, -0.666666]],
        [[1.0, 1.0, 1.0], [1.0, -1.0, 0.1]],
    ),
}  # fmt: skip

EXEMPT = {
    "Distribution": "the base class of all",
    "Unit": "a factor, which holds no data",
    "biject_to": "a function", "kl_divergence": "a function",
    "constraints": "a module", "transforms": "a module",
}  # fmt: skip


def test_every_distribution_is_in_the_table():
    assert sorted({*TABLE, *EXEMPT}) == sorted(dist.__all__)
    assert not set(TABLE) & set(EXEMPT)


def observed(make):
    def program(y):
        numpyro.sample("a", dist.Normal(0.0, 1.0))
        numpyro.sample("y", make(), obs=y)

    return program


@pytest.mark.parametrize("name", TABLE)
def test_values_that_a_distribution_takes_are_accepted_and_others_named(name, float64):
    make, inside, outside = TABLE[name]
    inside = [np.asarray(value, float) for value in inside]
    NumPyroProgram.of(observed(make), {"y": np.stack([*inside, inside[0]])})
    for value in outside:
        data = np.stack([*inside, np.asarray(value, float)])
        message = r"site 'y': expected data in the support of their distribution, got .* in row 3"
        with pytest.raises(InputError, match=message) as caught:
            NumPyroProgram.of(observed(make), {"y": data})
        assert "\n" not in str(caught.value)
        got = str(caught.value).rsplit(", got ")[1].split(" in row 3")[0]
        shown = set(re.findall(r"-?inf|nan|-?[\d.]+", got))
        assert shown
        assert shown <= {f"{number:g}" for number in np.ravel(data[2])}
