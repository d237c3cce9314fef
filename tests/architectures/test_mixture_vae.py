"""A class that is enumerated, with a Gaussian within it, against quadrature in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_expit, log_softmax
from scipy.stats import norm

from taut.architectures import MixtureVAE
from taut.bounds import ELBO
from taut.core import Datum, InputError, particles
from taut.gradients import Reparameterized

X = np.array([1.0, 0.0, 1.0, 1.0])
CLASSES = 3
NODES = np.linspace(-12.0, 12.0, 2001)
STEP = NODES[1] - NODES[0]

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def pair(schema, perturbed):
    architecture = MixtureVAE(components=CLASSES, latent_dim=1, hidden=(), likelihood="bernoulli")
    return perturbed(architecture.init(schema, jax.random.key(0)), 0.5)


def affine(network, u):
    (layer,) = network.layers
    return u @ np.asarray(layer.weight) + np.asarray(layer.bias)


def log_joint(pair, y):
    """log p(x, y, z) at the nodes."""
    model = pair.model
    latent = np.concatenate([np.tile(np.eye(CLASSES)[y], (len(NODES), 1)), NODES[:, None]], axis=1)
    logits = affine(model.decoder.network, latent) + np.asarray(model.decoder.offset)
    log_likelihood = log_expit(np.where(X > 0, logits, -logits)).sum(axis=1)
    return (
        log_likelihood + log_softmax(np.asarray(model.prior_family.logits))[y] + norm.logpdf(NODES)
    )


def guide_at(pair):
    """log q(y), and mean and deviation of z for each class."""
    features = affine(pair.guide.encoder, X - np.asarray(pair.guide.center))
    loc, log_scale = features[CLASSES:].reshape(2, CLASSES)
    return log_softmax(features[:CLASSES]), loc, np.exp(log_scale)


def elbo_by_quadrature(pair):
    log_q_y, loc, scale = guide_at(pair)
    found = 0.0
    for y in range(CLASSES):
        log_q = norm.logpdf(NODES, loc[y], scale[y])
        log_w = log_joint(pair, y) - log_q_y[y] - log_q
        found += np.exp(log_q_y[y]) * np.sum(np.exp(log_q) * log_w) * STEP
    return found


def drawn(pair, noise):
    """Particles; log-weights at this noise within every class; log q(y)."""
    model, guide = pair.bind()
    row = Datum(jnp.asarray(X))
    q = guide(row)
    z = q.loc + q.scale * noise
    made = particles(model, guide, guide, row, jax.random.key(0), 1)

    def log_w(y, at):
        terms = {**model.terms(row, (y, at)), **q.terms((y, at))}
        return sum((jnp.sum(term) for term in terms.values()), start=jnp.zeros(()))

    return made, jax.vmap(log_w)(jnp.eye(CLASSES), z), q.log_q_y


def test_the_bound_is_the_sum_over_classes_of_integrals(pair):
    """The sum over y of q(y) times a Gauss-Hermite rule over the noise within y."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    @jax.jit
    def one(noise):
        _, log_w, log_q_y = drawn(pair, noise)
        return jnp.exp(log_q_y) @ log_w

    assert_allclose(
        weights @ jax.vmap(one)(jnp.asarray(nodes)), elbo_by_quadrature(pair), rtol=1e-9
    )
    evidence = sum(np.sum(np.exp(log_joint(pair, y))) * STEP for y in range(CLASSES))
    assert np.log(evidence) > elbo_by_quadrature(pair) + 1e-3


def test_draws_have_the_masses_of_their_classes(pair):
    made, _, log_q_y = drawn(pair, 0.0)
    assert made.strata == CLASSES
    assert_allclose(made.log_mass, log_q_y)
    assert_allclose(log_q_y, guide_at(pair)[0], rtol=1e-12)


def test_the_gradient_in_the_class_is_exact(pair):
    """Averaged over many draws of z it is that of the quadrature, by central differences."""
    row, count = Datum(jnp.asarray(X)), 4000

    @jax.jit
    def gradients(keys):
        def surrogate(bias, key):
            moved = eqx.tree_at(lambda p: p.guide.encoder.layers[0].bias, pair, bias)
            return Reparameterized()(ELBO(), *moved.bind(), row, key).surrogate

        return jax.vmap(jax.grad(surrogate), in_axes=(None, 0))(
            pair.guide.encoder.layers[0].bias, keys
        )

    found = np.asarray(gradients(jax.random.split(jax.random.key(3), count)))
    bias = np.asarray(pair.guide.encoder.layers[0].bias)
    expected = []
    for i in range(len(bias)):
        ends = []
        for sign in (1, -1):
            moved = bias + sign * 1e-5 * np.eye(len(bias))[i]
            at = eqx.tree_at(lambda p: p.guide.encoder.layers[0].bias, pair, jnp.asarray(moved))
            ends.append(elbo_by_quadrature(at))
        expected.append((ends[0] - ends[1]) / 2e-5)
    errors = found.std(axis=0, ddof=1) / np.sqrt(count)
    assert np.all(np.abs(found.mean(axis=0) - expected) < 5 * errors + 1e-8)
    # A class that were drawn and not enumerated, or whose -log q were left out, would show.
    without = np.asarray(guide_at(pair)[0])
    assert (
        np.max(np.abs(np.exp(without) * (without - np.exp(without) @ without))) > 20 * errors.max()
    )


def test_one_class_is_refused():
    with pytest.raises(InputError) as refused:
        MixtureVAE(components=1)
    assert str(refused.value) == (
        'components: expected at least two classes, got 1. Try 10, or model="vae" without classes.'
    )
