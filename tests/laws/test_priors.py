"""Laws of priors p(z)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from registered import concrete_subclasses

import taut.models.priors
from taut.core import InputError
from taut.models.priors import (
    PRIORS,
    AbstractPrior,
    CodebookPrior,
    FactorizedPrior,
    FixedPrior,
    FlowPrior,
    LayeredPrior,
    MixtureOfGaussians,
    ProductPrior,
    check_prior,
    make_prior,
)

EPS = np.finfo(np.float64).eps
POINTS = np.array([[0.0, 0.0], [1.3, -0.4], [-3.0, 2.0], [40.0, -40.0]])


def mixture(latent_dim, *, components=3):
    """Components that differ in weight, mean and scale."""
    prior = MixtureOfGaussians(latent_dim, components, key=jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: a + jnp.asarray(rng.normal(size=a.shape), a.dtype), prior)


def by_scipy(prior, z):
    """log p(z) by SciPy from the prior's arrays."""
    logits, means, raw = (
        np.asarray(a, float) for a in (prior.logits, prior.means, prior.raw_scales)
    )
    scales = prior.floor + np.log1p(np.exp(raw))
    parts = scipy.stats.norm.logpdf(z, means, scales).sum(axis=-1)
    return scipy.special.logsumexp(parts + logits - scipy.special.logsumexp(logits))


def test_every_prior_has_a_name():
    named = {cls.name: cls for cls in concrete_subclasses(AbstractPrior, taut.models.priors)}
    assert named.pop("fixed") is FixedPrior  # takes a distribution, so no name makes it
    # Of discrete latents; their architectures make them, and tests/architectures checks them.
    discrete = (CodebookPrior, FactorizedPrior, LayeredPrior, ProductPrior)
    assert [named.pop(prior.name) for prior in discrete] == list(discrete)
    assert named == PRIORS


@pytest.mark.usefixtures("float64")
def test_mixture_has_the_density_of_its_equation():
    prior = mixture(2)
    found = jax.jit(jax.vmap(prior().log_prob))(jnp.asarray(POINTS))
    np.testing.assert_allclose(found, [by_scipy(prior, z) for z in POINTS], rtol=100 * EPS)


@pytest.mark.usefixtures("float64")
def test_mixture_integrates_to_one():
    prior = mixture(1)
    # The trapezoid rule converges faster than any power of the spacing for a smooth density.
    z, spacing = np.linspace(-60, 60, 40_001, retstep=True)
    mass = spacing * np.exp(np.asarray(prior().log_prob(jnp.asarray(z)[:, None]))).sum()
    np.testing.assert_allclose(mass, 1, rtol=1e4 * EPS)


@pytest.mark.usefixtures("float64")
def test_mixture_draws_have_its_mean_and_distribution():
    prior = mixture(1)
    draws = np.asarray(prior().sample(jax.random.key(2), (20_000,)))[:, 0]
    scales = prior.floor + np.log1p(np.exp(np.asarray(prior.raw_scales)))
    weights, means = scipy.special.softmax(np.asarray(prior.logits)), np.asarray(prior.means)

    def cdf(z):
        return (weights * scipy.stats.norm.cdf(np.asarray(z)[:, None], means.T, scales.T)).sum(-1)

    def planted(z):  # equal weights
        return scipy.stats.norm.cdf(np.asarray(z)[:, None], means.T, scales.T).mean(-1)

    # The two-sided tail beyond five standard errors.
    level = 2 * scipy.stats.norm.sf(5)
    assert scipy.stats.kstest(draws, cdf).pvalue > level
    assert scipy.stats.kstest(draws, planted).pvalue < level


def test_mixture_in_float32_has_finite_gradients_far_out():
    prior = MixtureOfGaussians(2, 4, key=jax.random.key(0))

    def value(prior, z):
        return jnp.sum(jax.vmap(prior().log_prob)(z))

    z = jnp.asarray(POINTS * 100, jnp.float32)
    both = jax.jit(jax.value_and_grad(value))
    total, gradients = both(prior, z)
    assert total.dtype == jnp.float32
    assert np.isfinite(total)
    leaves = jax.tree.leaves(gradients)
    assert len(leaves) == 3
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    _, near = both(prior, jnp.asarray(POINTS[:2], jnp.float32))
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(near))


@pytest.mark.usefixtures("float64")
def test_mixture_starts_with_unit_variance():
    """Over many starts: 1/2 from the means and 1/2 from the scales; the planted half is caught."""
    prior = MixtureOfGaussians(400, 50, key=jax.random.key(0))
    squares = np.asarray(prior.means) ** 2
    error = squares.std() / np.sqrt(squares.size)
    scales = prior.floor + np.log1p(np.exp(np.asarray(prior.raw_scales)))
    np.testing.assert_allclose(scales, np.sqrt(0.5), rtol=1e3 * EPS)
    assert abs(squares.mean() + scales[0, 0] ** 2 - 1) < 5 * error
    assert abs(squares.mean() + scales[0, 0] - 1) > 5 * error
    np.testing.assert_array_equal(prior.logits, 0)


@pytest.mark.usefixtures("float64")
def test_a_flow_has_mass_one_and_its_draws_follow_it():
    prior = FlowPrior(2, "maf,radial", hidden=(4,), activation="tanh", key=jax.random.key(0))
    rng = np.random.default_rng(1)
    arrays, rest = eqx.partition(prior, eqx.is_inexact_array)
    arrays = jax.tree.map(lambda a: a + 0.4 * jnp.asarray(rng.normal(size=a.shape)), arrays)
    q = eqx.combine(arrays, rest)()
    z, spacing = np.linspace(-20, 20, 801, retstep=True)
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), -1).reshape(-1, 2)
    mass = spacing**2 * np.exp(-np.asarray(jax.jit(jax.vmap(q.terms))(jnp.asarray(grid))["-log_q"]))
    assert abs(mass.sum() - 1) < 1e-5  # a radial layer has a kink at its centre
    draws = np.asarray(jax.jit(lambda: q.draw(jax.random.key(2), 4000).z)())
    moments = [np.concatenate([v, v**2, v[:, :1] * v[:, 1:]], axis=1) for v in (draws, grid)]
    error = moments[0].std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(moments[0].mean(axis=0) - mass @ moments[1]) < 5 * error)
    # Its mean is not that of the base.
    assert np.any(np.abs(mass @ moments[1][:, :2]) > 5 * error[:2])


def test_a_name_makes_a_prior():
    key = jax.random.key(0)
    assert [la.name for la in make_prior("flow:maf,lu", 3, key=key).chain.layers] == [
        "autoregressive",
        "lu",
    ]
    assert len(make_prior("flow", 3, key=key).chain.layers) == 7  # three permutations
    assert make_prior("mixture:7", 3, key=key).means.shape == (7, 3)
    assert make_prior("mixture", 3, key=key).means.shape == (10, 3)
    assert make_prior("standard-normal", 3, key=key)().event_shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: check_prior("mixtur:10"),
            "prior: expected one of standard-normal, mixture, vamp, flow, got 'mixtur'. Try 'mixture'.",
        ),
        (
            lambda: check_prior("flow:maf:0"),
            "prior: expected maf:K with K layers, a whole number of at least 1, got 'maf:0'. Try maf:8.",
        ),
        (
            lambda: check_prior("standard-normal:3"),
            "prior: expected standard-normal without a number, for it has no components, got "
            "'standard-normal:3'. Try standard-normal.",
        ),
        *(
            (
                lambda choice=choice: check_prior(choice),
                "prior: expected mixture:C with C components, a whole number of at least 1, got "
                f"'{choice}'. Try mixture:10.",
            )
            for choice in ("mixture:", "mixture:0", "mixture:-2", "mixture:2.5", "mixture:ten")
        ),
        (
            lambda: check_prior("vamp:many"),
            "prior: expected vamp:K with K pseudo-inputs, a whole number of at least 1, got 'vamp:many'."
            " Try vamp:500.",
        ),
        (
            lambda: check_prior("vamp:20,weigthed"),
            "prior: expected vamp:K or vamp:K,weighted, got 'vamp:20,weigthed'. Try vamp:20.",
        ),
        (
            lambda: check_prior("mixture:20,weighted"),
            "prior: expected mixture:C, one number, got 'mixture:20,weighted'. Try mixture:20.",
        ),
        (
            lambda: make_prior("vamp:20", 2, key=jax.random.key(0)),
            "prior: expected a prior with parameters of its own, as this model has no encoder whose "
            "posteriors it could average, got 'vamp:20'. Try mixture:10.",
        ),
        (
            lambda: MixtureOfGaussians(2, 0, key=jax.random.key(0)),
            "prior: expected at least one component, got 0. Try mixture:10.",
        ),
        (
            lambda: MixtureOfGaussians(2, 3, floor=0.0, key=jax.random.key(0)),
            "prior: expected a floor between 0 and 0.7, where scales start, got 0.0. Try floor=1e-3.",
        ),
    ],
)
def test_what_is_no_prior_is_refused(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
