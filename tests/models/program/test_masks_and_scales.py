"""A mask takes rows out and a scale repeats them, whatever is latent in them.

Against quadrature over the one parameter of sums written by hand, and closed forms.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import mask, scale
from scipy.special import logsumexp
from scipy.stats import beta, multivariate_normal, norm

from taut.core import Datum, InputError, total
from taut.models.program import NumPyroProgram

Y = np.array([-1.5, -0.2, 0.3, 1.1, 2.0, 0.0, 0.0, 0.0])
FIRST = np.arange(8) < 5
WEIGHTS = np.array([4.0, 2.0, 3.0, 1.0, 5.0])
LABELS = np.array([0, 1, 0, 0, 1, 0, 0, 0])
KNOWN = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(40)


def log_evidence(program, data):
    """By the trapezium rule over the one coordinate of z."""
    model, datum = NumPyroProgram.of(program, data)
    assert model.dim == 1
    grid = jnp.linspace(-16.0, 16.0, 2001)
    log_p = jax.jit(jax.vmap(lambda z: total(model.terms(datum, z[None]))))(grid)
    return float(jax.nn.logsumexp(log_p) + jnp.log(grid[1] - grid[0]))


def by_hand(log_likelihood):
    """Over p ~ Beta(2, 2), by Gauss-Legendre nodes."""
    p = (NODES + 1.0) / 2.0
    each = [log_likelihood(q) + beta.logpdf(q, 2.0, 2.0) for q in p]
    return logsumexp(each, b=NODE_WEIGHTS / 2.0)


def label(p, y):
    """log p(y) of one row with its label summed out, by row."""
    return np.logaddexp(np.log(1 - p) + norm.logpdf(y, -1.0), np.log(p) + norm.logpdf(y, 1.0))


def one_label(p, y, weights=1.0):
    """The same where all rows share a label."""
    sides = [np.sum(weights * norm.logpdf(y, side)) for side in (-1.0, 1.0)]
    return np.logaddexp(np.log(1 - p) + sides[0], np.log(p) + sides[1])


def masked_rows(y, rows):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 8), mask(mask=rows):
        z = numpyro.sample("z", dist.Bernoulli(p))
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def masked_categories(y, rows):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with mask(mask=rows), numpyro.plate("rows", 8):
        z = numpyro.sample("z", dist.Categorical(jnp.stack([1.0 - p, p])))
        numpyro.sample("y", dist.Normal(jnp.array([-1.0, 1.0])[z], 1.0), obs=y)


def masked_data(y, rows):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 8):
        z = numpyro.sample("z", dist.Bernoulli(p))
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0).mask(rows), obs=y)


def masked_labels(y, rows):
    """A flat prior on the labels of three rows."""
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 8):
        z = numpyro.sample("z", dist.Bernoulli(p).mask(rows))
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def some_labels(y, labels, known):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 8):
        z = numpyro.sample("z", dist.Bernoulli(p), obs=labels, obs_mask=known)
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def short_chain(y):
    """Four steps are written, the first two are meant."""
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    z = 0
    for t in range(4):
        with mask(mask=t < 2):
            z = numpyro.sample(f"z{t}", dist.Bernoulli(jnp.where(z == 1, p, 1.0 - p)))
            numpyro.sample(f"y{t}", dist.Normal(2.0 * z - 1.0, 1.0), obs=y[t])


def chain(p):
    def path(states):
        steps = [p if before else 1 - p for before in (0, states[0])]
        stays = [q if z else 1 - q for q, z in zip(steps, states, strict=True)]
        return np.sum(np.log(stays) + norm.logpdf(Y[:2], 2.0 * np.array(states) - 1.0))

    return logsumexp([path(states) for states in itertools.product(range(2), repeat=2)])


def known_or_summed(p):
    given = np.log(np.where(LABELS == 1, p, 1 - p)) + norm.logpdf(Y, 2.0 * LABELS - 1.0)
    return np.where(KNOWN, given, label(p, Y)).sum()


ROWS = {"y": Y, "rows": FIRST}


@pytest.mark.parametrize(
    ("program", "data", "log_likelihood"),
    [
        (masked_rows, ROWS, lambda p: label(p, Y[:5]).sum()),
        (masked_categories, ROWS, lambda p: label(p, Y[:5]).sum()),
        (masked_data, ROWS, lambda p: label(p, Y[:5]).sum()),
        (
            masked_labels,
            ROWS,
            lambda p: label(p, Y[:5]).sum() + 3.0 * np.log(2.0 * norm.pdf(0.0, 1.0)),
        ),
        (some_labels, {"y": Y, "labels": LABELS, "known": KNOWN}, known_or_summed),
        (short_chain, {"y": Y[:4]}, chain),
    ],
)
def test_masked_rows_add_nothing(program, data, log_likelihood, float64):
    found = log_evidence(program, data)
    np.testing.assert_allclose(found, by_hand(log_likelihood), rtol=1e-10)


def weighted_rows(y, weights):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 5), scale(scale=weights):
        z = numpyro.sample("z", dist.Bernoulli(p))
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def weighted_rows_of_one_label(y, weights):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    z = numpyro.sample("z", dist.Bernoulli(p))
    with numpyro.plate("rows", 5), scale(scale=weights):
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def weighted_whole(y):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with scale(scale=3.0):
        z = numpyro.sample("z", dist.Bernoulli(p))
        with numpyro.plate("rows", 5):
            numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def weighted_below_a_switch(y, weights):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    switch = numpyro.sample("switch", dist.Bernoulli(0.3))
    with numpyro.plate("rows", 5), scale(scale=weights):
        z = numpyro.sample("z", dist.Bernoulli(p))
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0 + switch, 1.0), obs=y)


def switched(p):
    off, on = (np.sum(WEIGHTS * label(p, Y[:5] - step)) for step in (0.0, 1.0))
    return np.logaddexp(np.log(0.7) + off, np.log(0.3) + on)


WEIGHTED = {"y": Y[:5], "weights": WEIGHTS}


@pytest.mark.parametrize(
    ("program", "data", "log_likelihood"),
    [
        (weighted_rows, WEIGHTED, lambda p: np.sum(WEIGHTS * label(p, Y[:5]))),
        (weighted_rows_of_one_label, WEIGHTED, lambda p: one_label(p, Y[:5], WEIGHTS)),
        (weighted_whole, {"y": Y[:5]}, lambda p: 3.0 * one_label(p, Y[:5])),
        (weighted_below_a_switch, WEIGHTED, switched),
    ],
)
def test_a_scale_repeats_rows(program, data, log_likelihood, float64):
    found = log_evidence(program, data)
    np.testing.assert_allclose(found, by_hand(log_likelihood), rtol=1e-10)


def test_whole_weights_are_rows_written_again(float64):
    """Mean of p and evidence, against the program on the rows themselves."""
    often = np.repeat(Y[:5], WEIGHTS.astype(int))

    def rows(y):
        p = numpyro.sample("p", dist.Beta(2.0, 2.0))
        with numpyro.plate("rows", len(y)):
            z = numpyro.sample("z", dist.Bernoulli(p))
            numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)

    z = jnp.linspace(-3.0, 3.0, 7)[:, None]

    def at(model, datum):
        return jax.jit(jax.vmap(lambda one: model.log_joint(datum, one)))(z)

    found = at(*NumPyroProgram.of(weighted_rows, WEIGHTED))
    expected = at(*NumPyroProgram.of(rows, {"y": often}))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def weighted_data_alone(y, weights):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 5):
        z = numpyro.sample("z", dist.Bernoulli(p))
        with scale(scale=weights):
            numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def test_two_scales_in_one_sum_are_refused(float64):
    wish = (
        r"expected one scale for 'z' and the sites that are summed with it, got another one for 'y'"
    )
    with pytest.raises(InputError, match=wish):
        NumPyroProgram.of(weighted_data_alone, WEIGHTED)


def observed_in_part(y, rows):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", 8):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y, obs_mask=rows)


def padded(y, rows):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", 8), mask(mask=rows):
        x = numpyro.sample("x", dist.Normal(mu, 0.6))
        numpyro.sample("y", dist.Normal(x, 0.8), obs=y)


def padded_events(y, rows):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    x = numpyro.sample("x", dist.Normal(mu * jnp.ones(8), 0.6).mask(rows).to_event(1))
    numpyro.sample("y", dist.Normal(x, 0.8).mask(rows), obs=y)


def gaussian_evidence(program, data):
    """Where z is Gaussian, its maximum and Hessian hold the integral."""
    model, datum = NumPyroProgram.of(program, data)
    log_joint = jax.jit(lambda z: model.log_joint(datum, z))
    z = jnp.zeros(model.dim)
    precision = -jax.jit(jax.hessian(log_joint))(z)
    at = jnp.linalg.solve(precision, jax.grad(log_joint)(z))
    volume = 0.5 * model.dim * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    return float(log_joint(at) + volume)


@pytest.mark.parametrize("program", [observed_in_part, padded, padded_events])
def test_latents_of_masked_rows_integrate_to_one(program, float64):
    found = gaussian_evidence(program, ROWS)
    covariance = 4.0 * np.ones((5, 5)) + np.eye(5)
    expected = multivariate_normal.logpdf(Y[:5], cov=covariance)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def flat(y):
    with mask(mask=False):
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def test_a_masked_latent_that_data_read_has_a_flat_prior(float64):
    y = Y[:5]
    expected = norm.logpdf(y, y.mean()).sum() + 0.5 * np.log(2 * np.pi / 5)
    np.testing.assert_allclose(gaussian_evidence(flat, {"y": y}), expected, rtol=1e-10)


@pytest.mark.parametrize("program", [padded, masked_rows])
def test_masks_in_minibatches_are_unbiased(program, float64):
    model, datum = NumPyroProgram.of(program, ROWS, subsample={"rows": 3})
    everything = model.all_rows()
    z = jax.random.normal(jax.random.key(0), (everything.dim,))

    def of(index):
        rows = z[1:][index] if model.num_locals else z[1:]
        return model.log_joint(Datum(x=datum.x, index=index), jnp.concatenate([z[:1], rows]))

    batches = jnp.array(list(itertools.combinations(range(8), 3)))
    values = jax.jit(jax.vmap(of))(batches)
    whole = jax.jit(lambda z: everything.log_joint(datum, z))(z)
    np.testing.assert_allclose(values.mean(), whole, rtol=1e-12)
    assert np.ptp(values) > 1
