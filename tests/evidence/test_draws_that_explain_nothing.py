"""Draws with log p(x, z) = -inf: the ELBO is -inf, and the KL the mean of log q - log p(z)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from known_models import ConjugateGaussian, LinearGaussian, LinearGuide, NormalGuide

from taut.core import LOG_LIKELIHOOD, Datum, Pair, StratifiedProposal
from taut.evidence import EVIDENCE, importance_sampling
from taut.inference.amortized.refined_quadrature import RefinedQuadrature
from taut.models import LatentVariableModel
from taut.models.likelihoods import Gaussian
from taut.models.priors import MixtureOfGaussians, ProductPrior

X = np.array([0.3, -0.8])
ROWS = Datum(X, index=np.array([4, 7]))
SLOPE, INTERCEPT, LOG_SCALE = 0.4, 0.1, -0.2


class Truncated(ConjugateGaussian):
    """Nothing is seen of latents below -0.1; the KL has no closed form."""

    def terms(self, datum, z):
        terms = super().terms(datum, z)
        seen = z > -0.1
        return {**terms, LOG_LIKELIHOOD: jnp.where(seen, terms[LOG_LIKELIHOOD], -jnp.inf)}

    def kl(self, datum, q, z):
        return None

    def sample(self, z, key):
        return self.loading * z + self.shift + jnp.exp(self.log_noise) * jax.random.normal(key)


def truncated() -> Pair:
    model = Truncated(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    return Pair(model, NormalGuide(*map(jnp.array, (SLOPE, INTERCEPT, LOG_SCALE))))


def kl_by_integral(x: float) -> float:
    q = scipy.stats.norm(SLOPE * x + INTERCEPT, np.exp(LOG_SCALE))
    z = np.linspace(-9, 9, 20_001)
    ratios = q.logpdf(z) - scipy.stats.norm.logpdf(z)
    return float(np.trapezoid(q.pdf(z) * ratios, z))


@pytest.mark.parametrize("name", EVIDENCE)
def test_every_method_knows_the_kl(float64, name):
    options = {"num_particles": 512}
    if "temperatures" in EVIDENCE[name].__dataclass_fields__:
        options |= {"temperatures": 3}
    found = EVIDENCE[name](**options)(truncated(), ROWS, key=jax.random.key(0))
    assert np.isneginf(found.elbo.value)
    assert found.kl.values is not None
    expected = [0.0, 0.0] if name == "monte-carlo" else [kl_by_integral(x) for x in X]
    np.testing.assert_allclose(
        found.kl.value, np.mean(expected), atol=5 * found.kl.mc_error + 1e-12
    )
    assert found.kl.mc_error < 0.1


class Cut(LinearGaussian):
    """A likelihood of zero of latents far from the mode; the KL has no closed form."""

    def terms(self, datum, z):
        terms = super().terms(datum, z)
        near = jnp.abs(z[0]) < 3.0
        return {**terms, LOG_LIKELIHOOD: jnp.where(near, terms[LOG_LIKELIHOOD], -jnp.inf)}

    def kl(self, datum, q, z):
        return None


def test_quadrature_knows_the_kl(float64):
    """Of the Gaussian that it fits to each row."""
    model = Cut(jnp.array([[0.9]]), 0.7)
    pair = Pair(model, LinearGuide(jnp.array([[0.5]]), jnp.array([0.8])))
    rows = Datum(X[:, None], index=ROWS.index)
    found = RefinedQuadrature(num_particles=64)(pair, rows, key=jax.random.key(0))
    variance = 1 / model.precision()[0, 0]
    means = model.posterior_means(X[:, None])[:, 0]
    expected = 0.5 * (variance + means**2 - 1 - np.log(variance))
    np.testing.assert_allclose(found.kl.values, expected, rtol=1e-3)
    assert np.isneginf(found.elbo.value)


class OfClasses(eqx.Module):
    """Two classes, each with a normal within it."""

    def __call__(self, datum):
        loc = jnp.array([[0.4], [-0.6]])
        return StratifiedProposal(jnp.array([0.3, -0.3]), loc, 0.7 * jnp.ones((2, 1)))


class Half(LatentVariableModel):
    """A likelihood of zero of latents below 0."""

    def terms(self, datum, z):
        terms = super().terms(datum, z)
        return {**terms, LOG_LIKELIHOOD: jnp.where(z[1][0] > 0, terms[LOG_LIKELIHOOD], -jnp.inf)}


def test_strata_know_the_kl(float64):
    prior = ProductPrior(2, MixtureOfGaussians(1, 4, key=jax.random.key(0)))
    made = [
        kind(prior, lambda z: jnp.concatenate(z)[:3], Gaussian(shape=(3,)), (3,))
        for kind in (Half, LatentVariableModel)
    ]
    rows = Datum(np.zeros((2, 3)))
    cut, whole = (
        importance_sampling(Pair(model, OfClasses()), rows, key=jax.random.key(0), num_particles=64)
        for model in made
    )
    assert np.isneginf(cut.elbo.value)
    np.testing.assert_allclose(cut.kl.values, whole.kl.values)
    np.testing.assert_allclose(cut.kl.mc_error, whole.kl.mc_error)
