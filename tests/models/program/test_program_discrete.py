"""Discrete latents summed out against sums written by hand and programs that need none."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import taut
from taut.core import Datum, InputError, total
from taut.models.program import NumPyroProgram

Y = np.array([-1.3, 0.2, 2.4, 1.9, -0.5])


def clusters(y):
    """A mixture of two normals with a label for every row."""
    share = numpyro.sample("share", dist.Beta(2.0, 3.0))
    mu = numpyro.sample("mu", dist.Normal(jnp.array([-1.0, 2.0]), 1.0).to_event(1))
    with numpyro.plate("rows", len(y)):
        label = numpyro.sample("label", dist.Bernoulli(share))
        numpyro.deterministic("centre", mu[label])
        numpyro.sample("y", dist.Normal(mu[label], 0.7), obs=y)
    numpyro.deterministic("gap", mu[1] - mu[0])


def marginal_clusters(y):
    share = numpyro.sample("share", dist.Beta(2.0, 3.0))
    mu = numpyro.sample("mu", dist.Normal(jnp.array([-1.0, 2.0]), 1.0).to_event(1))
    with numpyro.plate("rows", len(y)):
        mixing = dist.Categorical(jnp.stack([1 - share, share]))
        numpyro.sample("y", dist.MixtureSameFamily(mixing, dist.Normal(mu, 0.7)), obs=y)


def crossed(y):
    """A switch for all, two discrete latents for every row, and columns below."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    switch = numpyro.sample("switch", dist.Categorical(jnp.array([0.2, 0.3, 0.5])))
    with numpyro.plate("rows", 2, dim=-2):
        a = numpyro.sample("a", dist.Bernoulli(0.3))
        b = numpyro.sample("b", dist.Categorical(jnp.array([0.6, 0.1, 0.3])))
        with numpyro.plate("columns", 2, dim=-1):
            numpyro.sample("y", dist.Normal(mu + a - b + 0.5 * switch, 1.0), obs=y)
    numpyro.factor("aside", -0.1 * mu * switch)


def by_hand(mu, y):
    """Over every joint value of switch and of all rows' latents."""
    each = []
    for switch in range(3):
        for a0, b0, a1, b1 in itertools.product(range(2), range(3), range(2), range(3)):
            value = np.log([0.2, 0.3, 0.5][switch]) - 0.1 * mu * switch
            for a, b, row in ((a0, b0, y[0]), (a1, b1, y[1])):
                value += np.log([0.7, 0.3][a]) + np.log([0.6, 0.1, 0.3][b])
                value += norm.logpdf(row, mu + a - b + 0.5 * switch, 1.0).sum()
            each.append(value)
    return logsumexp(each) + norm.logpdf(mu)


def test_the_sum_over_rows_is_the_sum_over_all_joint_values(float64):
    y = Y[:4].reshape(2, 2)
    model, datum = NumPyroProgram.of(crossed, {"y": y})
    density = jax.jit(lambda z: total(model.terms(datum, z)))
    for z in (-0.7, 1.1):
        np.testing.assert_allclose(density(jnp.array([z])), by_hand(z, y), rtol=1e-12)


def test_labels_summed_out_are_the_mixture(float64):
    model, datum = NumPyroProgram.of(clusters, {"y": Y})
    other, _ = NumPyroProgram.of(marginal_clusters, {"y": Y})
    assert model.coordinates == other.coordinates == ("share", "mu[0]", "mu[1]")
    z = jnp.array([0.4, -0.8, 1.7])
    value, gradient = jax.jit(jax.value_and_grad(lambda z: total(model.terms(datum, z))))(z)
    wanted, slope = jax.jit(jax.value_and_grad(lambda z: total(other.terms(datum, z))))(z)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10)
    # What follows from a label has no value of its own.
    assert set(model.derived(datum, z)) == {"gap"}
    first = float(jnp.sum(norm.logpdf(Y, -0.8, 0.7)))
    likelihood = jax.jit(lambda z: model.terms(datum, z)["log_likelihood"])(z)
    assert abs(float(likelihood) - first) > 1, "not one label for all"


def test_minibatches_of_labelled_rows_are_unbiased(float64):
    """Over all batches of two of the five rows, for the value and the gradient."""
    model, datum = NumPyroProgram.of(clusters, {"y": Y}, subsample={"rows": 2})
    z = jnp.array([0.4, -0.8, 1.7])

    def of(index):
        return jax.value_and_grad(lambda z: total(model.terms(Datum(x=datum.x, index=index), z)))(z)

    batches = jnp.array(list(itertools.combinations(range(5), 2)))
    values, gradients = jax.jit(jax.vmap(of))(batches)
    whole = model.all_rows()
    value, gradient = jax.jit(jax.value_and_grad(lambda z: total(whole.terms(datum, z))))(z)
    np.testing.assert_allclose(values.mean(), value, rtol=1e-12)
    np.testing.assert_allclose(gradients.mean(axis=0), gradient, rtol=1e-10)
    assert np.ptp(values) > 1


def neighbours(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        label = numpyro.sample("label", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Normal(mu + jnp.roll(label, 1), 1.0), obs=y)


def counted(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        label = numpyro.sample("label", dist.Bernoulli(0.5))
    numpyro.sample("y", dist.Normal(mu + label.sum(), 1.0), obs=y.sum())


def unplated(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    label = numpyro.sample("label", dist.Bernoulli(0.5 * jnp.ones(11)))
    numpyro.sample("y", dist.Normal(mu + label.sum(), 1.0), obs=y.sum())


def two_plates(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("groups", 2):
        numpyro.sample("kind", dist.Bernoulli(0.5))
    with numpyro.plate("rows", len(y)):
        label = numpyro.sample("label", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Normal(mu + label, 1.0), obs=y)


def moved_support(y):
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    u = numpyro.sample("u", dist.Uniform(0.0, 1.0 + k))
    numpyro.sample("y", dist.Normal(u, 1.0), obs=y.sum())


def endless(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    k = numpyro.sample("k", dist.Poisson(3.0))
    numpyro.sample("y", dist.Normal(mu + k, 1.0), obs=y.sum())


def only_labels(y):
    with numpyro.plate("rows", len(y)):
        label = numpyro.sample("label", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Normal(label, 1.0), obs=y)


def switched(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu + k, 1.0), obs=y)


def unobserved(n, y=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", n):
        numpyro.sample("y", dist.Bernoulli(logits=mu), obs=y)


@pytest.mark.parametrize(
    ("program", "options", "message"),
    [
        (neighbours, {}, r"expected rows .* that depend on their own .* got rows that depend"),
        (counted, {}, r"sites that depend on 'label' inside plate 'rows', got site 'y' outside it"),
        (unplated, {}, r"at most 1024 combinations .* got 2048 of 'label'\. Try .*RLOO, VIMCO"),
        (two_plates, {}, r"in one plate, .* got 'kind' in groups and 'label' in rows"),
        (moved_support, {}, r"supports that do not depend on discrete latents.* got site 'u', whose"),
        (endless, {}, r"^site 'k': expected a continuous latent, or one .* got a discrete one"),
        (only_labels, {}, r"expected at least one continuous latent, got none"),
        (switched, {"subsample": {"rows": 2}}, r"subsampled plate 'rows' that .* got site 'y'"),
    ],
)  # fmt: skip
def test_sums_that_cannot_be_taken_are_refused(program, options, message):
    with pytest.raises(InputError, match=message) as caught:
        NumPyroProgram.of(program, {"y": Y}, **options)
    assert "\n" not in str(caught.value)


def test_data_that_are_missing_are_not_summed_over():
    with pytest.raises(
        InputError, match=r"expected data for 'y', .* none, which makes it a latent"
    ):
        NumPyroProgram.of(unobserved, {"n": 3})


def test_infer_fits_the_continuous_latents(float64):
    """The evidence is that of the mixture, by quadrature over mu with everything else summed."""
    found = taut.infer(switched, data={"y": Y}, num_starts=1, num_draws=2000)
    evidence = 0.0
    for k in range(2):
        covariance = np.eye(5) + 1.0
        shifted = Y - k
        quadratic = shifted @ np.linalg.solve(covariance, shifted)
        log_p = -0.5 * (5 * np.log(2 * np.pi) + np.log(6.0) + quadratic)
        evidence += 0.5 * np.exp(log_p)
    estimate = found.estimates["log_evidence"]
    assert abs(estimate.value - np.log(evidence)) < 5 * estimate.mc_error
    assert found.coordinates == ("mu",)
