"""Linear factor models under linear encoders: the closed bound, its best guide, their common optimum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from nodes import EncoderGuide, NodesFamily, mean_evidence, tabled_data, unfitted_ppca
from scipy.stats import multivariate_normal

from taut.bounds import ELBO
from taut.core import Datum, InputError, Pair, particles
from taut.evidence import importance_sampling
from taut.guides import FullRankGaussian, MeanFieldGaussian, best_linear_guide
from taut.models import FactorAnalysis, ProbabilisticPCA

SIZES = [(6, 2), (2, 4)]


def model_and_row(data_dim, latent_dim):
    rng = np.random.default_rng(data_dim)
    loadings = jnp.asarray(rng.normal(size=(data_dim, latent_dim)))
    center = jnp.asarray(rng.normal(size=data_dim))
    model = ProbabilisticPCA(center=center, loadings=loadings, log_variance=jnp.asarray(-0.8))
    return model, rng.normal(size=data_dim)


def joint(model, seen):
    """Mean and covariance of (z, x) over the seen cells."""
    weight, shift = np.asarray(model.loadings)[seen], np.asarray(model.center)[seen]
    latent_dim, cells = weight.shape[1], weight.shape[0]
    mean = np.concatenate([np.zeros(latent_dim), shift])
    cross = weight @ weight.T + np.exp(float(model.log_variance)) * np.eye(cells)
    return mean, np.block([[np.eye(latent_dim), weight.T], [weight, cross]])


@pytest.mark.parametrize("size", SIZES)
def test_evidence_and_posterior_follow_from_the_joint(size, float64):
    model, x = model_and_row(*size)
    d = size[1]
    z = jnp.linspace(-1.0, 1.0, d)

    @jax.jit
    def found(row):
        posterior = model.posterior(row)
        by_bayes = model.log_joint(row, z) - posterior.log_prob(z)
        return model.log_evidence(row), by_bayes, posterior.mean, posterior.covariance_matrix

    for seen in (np.ones(size[0], bool), np.arange(size[0]) % 2 == 0):
        row = Datum(np.where(seen, x, np.nan), mask=None if seen.all() else seen)
        mean, covariance = joint(model, seen)
        cross, inner = covariance[:d, d:], covariance[d:, d:]
        gain = cross @ np.linalg.inv(inner)
        log_evidence = multivariate_normal.logpdf(x[seen], mean[d:], inner)
        known = (
            log_evidence,
            log_evidence,
            gain @ (x[seen] - mean[d:]),
            np.eye(d) - gain @ cross.T,
        )
        for value, by_hand in zip(found(row), known, strict=True):
            np.testing.assert_allclose(value, by_hand, rtol=1e-10, atol=1e-11)


def test_small_noise_keeps_its_digits(float64):
    """Far from the model's plane the quadratic form is large; SciPy's own route is accurate here."""
    model, x = model_and_row(3, 2)
    model = eqx.tree_at(lambda m: m.log_variance, model, 2 * jnp.log(1e-4))
    mean, covariance = joint(model, np.ones(3, bool))
    precision = np.linalg.inv(covariance[2:, 2:])
    away = x - mean[2:]
    _, log_det = np.linalg.slogdet(covariance[2:, 2:])
    known = -0.5 * (away @ precision @ away + log_det + 3 * np.log(2 * np.pi))
    assert float(model.log_evidence(Datum(jnp.asarray(x)))) == pytest.approx(known, rel=1e-6)


FAMILIES = [FullRankGaussian, MeanFieldGaussian]


def as_factor_analysis(model):
    """The same loadings with a noise of its own in every column."""
    log_variances = model.log_variance + jnp.linspace(-1.0, 1.0, model.center.size)
    return FactorAnalysis(center=model.center, loadings=model.loadings, log_variances=log_variances)


@pytest.mark.parametrize("form", [lambda model: model, as_factor_analysis], ids=["ppca", "fa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_closed_elbo_is_the_expected_log_weight(family, form, float64):
    model, x = model_and_row(3, 2)
    model = form(model)
    gaussian = family(2)
    features = 0.3 * jnp.cos(1.0 + jnp.arange(1.0 * gaussian.num_features))
    guide = EncoderGuide(lambda x: features, NodesFamily(gaussian))

    @jax.jit
    def found(row):
        minted = particles(model, guide, guide, row, jax.random.key(0), 1)
        closed = model.elbo(row, gaussian(features))
        return closed, ELBO(kl="sampled")(minted), model.log_evidence(row)

    for mask in (None, np.array([True, False, True])):
        row = Datum(x if mask is None else np.where(mask, x, np.nan), mask=mask)
        closed, averaged, evidence = map(float, found(row))
        assert closed == pytest.approx(averaged, rel=1e-12)
        assert closed < evidence - 0.01


def test_a_cell_without_a_number_moves_no_latent(float64):
    model, x = model_and_row(3, 2)
    seen, z = np.array([True, False, True]), jnp.array([0.3, -0.7])
    row = Datum(jnp.asarray(np.where(seen, x, np.nan)), mask=jnp.asarray(seen))
    slope = jax.jit(jax.grad(lambda z: model.log_joint(row, z)))(z)
    w, away = np.asarray(model.loadings)[seen], (x - np.asarray(model.mean(z)))[seen]
    known = w.T @ away / np.exp(float(model.log_variance)) - np.asarray(z)
    np.testing.assert_allclose(slope, known, rtol=1e-10)


def test_closed_elbo_wants_a_gaussian(float64):
    model, x = model_and_row(3, 2)
    with pytest.raises(
        InputError, match=r"elbo: expected a Gaussian guide, got Indep.*Try a Multi"
    ):
        model.elbo(Datum(jnp.asarray(x)), dist.Laplace(jnp.zeros(2)).to_event(1))


@pytest.mark.parametrize("form", [lambda model: model, as_factor_analysis], ids=["ppca", "fa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_best_linear_guide_cannot_be_improved(family, form, float64):
    model = form(model_and_row(4, 2)[0])
    rows = tabled_data()
    best = best_linear_guide(model, family(2))

    def bound(encoder):
        guide = eqx.tree_at(lambda g: g.encoder, best, encoder)
        return jnp.mean(jax.vmap(lambda row: model.elbo(row, guide(row)))(rows))

    value, slopes = jax.jit(jax.value_and_grad(bound))(best.encoder)
    assert max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(slopes)) < 1e-10
    gap = mean_evidence(model, rows) - float(value)
    if family is FullRankGaussian:
        assert abs(gap) < 1e-10
    else:
        assert gap > 0.01


def test_maximum_likelihood_is_the_closed_optimum_and_tight(float64):
    rows, latent_dim = tabled_data(), 2
    best = ProbabilisticPCA.maximum_likelihood(rows.x, latent_dim)
    spectrum = np.sort(np.linalg.eigvalsh(np.cov(rows.x.T, bias=True)))[::-1]
    rest = spectrum[latent_dim:].mean()
    # Tipping and Bishop (1999), eq. 4 at its maximum: the trace of C^-1 S is D there.
    log_det = np.log(spectrum[:latent_dim]).sum() + (4 - latent_dim) * np.log(rest)
    known = -0.5 * (4 * np.log(2 * np.pi) + log_det + 4)
    # Lucas et al. (2019): both covariances of the encoder are tight here.
    guides = [best_linear_guide(best, family(latent_dim)) for family in FAMILIES]

    @jax.jit
    def found(model):
        def mean(f):
            return jnp.mean(jax.vmap(f)(rows))

        evidence, slopes = jax.value_and_grad(lambda m: mean(m.log_evidence))(model)
        bounds = [mean(lambda row, g=guide: model.elbo(row, g(row))) for guide in guides]
        return [evidence, *bounds], slopes

    values, slopes = found(best)
    np.testing.assert_allclose(values, known, rtol=1e-12)
    assert max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(slopes)) < 1e-10


def test_the_exact_posterior_has_no_variance(float64):
    rows = tabled_data(num_rows=8)
    model = unfitted_ppca(4, 2, key=jax.random.key(3))
    pair = Pair(model, best_linear_guide(model, FullRankGaussian(2)))
    found = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=20)
    known = np.asarray(jax.jit(jax.vmap(model.log_evidence))(rows))
    np.testing.assert_allclose(found.log_evidence.values, known, atol=1e-9)
    assert found.log_evidence.mc_error < 1e-9


def test_rows_are_made_from_latents(float64):
    model, _ = model_and_row(3, 2)
    z = jnp.array([0.4, -1.0])
    draws = jax.vmap(lambda key: model.sample(z, key))(jax.random.split(jax.random.key(0), 4000))
    error = np.exp(-0.4) / np.sqrt(4000)
    assert np.abs(np.asarray(draws).mean(axis=0) - np.asarray(model.mean(z))).max() < 5 * error


@pytest.mark.parametrize(
    ("x", "num_factors", "message"),
    [
        (np.eye(3), 3, r"num_factors: expected 1 to 2 factors.*got 3\. Try fewer"),
        (np.eye(3), 0, r"num_factors: expected 1 to 2"),
        (np.zeros((0, 3)), 1, "x: expected rows of finite numbers"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), 1, "x: expected rows of finite numbers"),
        (
            np.outer(np.arange(5.0), [1.0, 2.0, 3.0]),
            1,
            "x: expected rows that vary in more than 1 dim",
        ),
        (np.ones((5, 3)), 1, "x: expected rows that vary in more than 1 dim"),
    ],
)
def test_rows_without_an_optimum_are_refused(x, num_factors, message):
    with pytest.raises(InputError, match=message):
        ProbabilisticPCA.maximum_likelihood(x, num_factors)
