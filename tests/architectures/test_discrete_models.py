"""Models with discrete latents against sums over all their outcomes, written in NumPy."""

import itertools
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, log_softmax, logsumexp

from taut.architectures import Discrete
from taut.core import LOG_PRIOR, NEG_LOG_Q, Datum, InputError, as_proposal, particles
from taut.evidence.importance import weigh

EPS = np.finfo(np.float64).eps
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])

CHOICES = {
    "bits": "bernoulli:3",
    "categories": "categorical:2x3",
    "two layers of bits": "bernoulli:3,2",
    "two layers of categories": "categorical:2x3,1x2",
}
every_choice = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)

pytestmark = pytest.mark.usefixtures("float64")


class Enumerating(eqx.Module):
    """The same guide with every outcome drawn once."""

    guide: eqx.Module

    def __call__(self, datum):
        return self.guide(datum).enumerated()


def made(choice, schema, perturbed, **options):
    return perturbed(Discrete(latents=choice, hidden=(), **options).init(schema, jax.random.key(0)))


def outcomes(form):
    """All values of a layer, as vectors."""
    if "x" not in form:
        return [np.array(bits, float) for bits in itertools.product((0, 1), repeat=int(form))]
    units, levels = (int(n) for n in form.split("x"))
    eye = np.eye(levels)
    return [
        np.concatenate([eye[i] for i in each])
        for each in itertools.product(range(levels), repeat=units)
    ]


def log_mass(form, logits, z):
    """log p(z) of a layer at its logits."""
    if "x" not in form:
        return float(np.sum(log_expit(np.where(z > 0, logits, -logits))))
    levels = int(form.split("x")[1])
    return float(np.sum(z * log_softmax(logits.reshape(-1, levels), axis=1).reshape(-1)))


def affine(network, z, form):
    """The one layer of a linear map, which reads bits as signs."""
    (layer,) = network.layers
    u = z if "x" in form else 2 * z - 1
    return u @ np.asarray(layer.weight) + np.asarray(layer.bias)


def log_evidence(pair, choice, x):
    """log p(x) by the sum over all latents."""
    forms = choice.split(":")[1].split(",")
    model = pair.model
    decoder, prior = model.decoder, model.prior_family
    found = []
    for z in outcomes(forms[0]):
        logits = affine(decoder.network, z, forms[0]) + np.asarray(decoder.offset)
        log_likelihood = np.sum(log_expit(np.where(x > 0, logits, -logits)))
        if len(forms) == 1:
            found.append(log_likelihood + log_mass(forms[0], np.asarray(prior.logits), z))
            continue
        for above in outcomes(forms[1]):
            given = affine(prior.given.network, above, forms[1])
            log_prior = log_mass(forms[1], np.asarray(prior.top.logits), above)
            found.append(log_likelihood + log_prior + log_mass(forms[0], given, z))
    return logsumexp(found)


@every_choice
def test_evidence_is_the_sum_over_all_latents(choice, schema, perturbed):
    pair = made(choice, schema, perturbed)
    model, guide = pair.bind()
    exact = weigh(
        model, Enumerating(guide), Datum(jnp.asarray(X)), key=jax.random.key(1), num_particles=2
    ).log_evidence
    assert exact.side == "exact"
    wanted = [log_evidence(pair, choice, x) for x in X]
    assert_allclose(exact.values, wanted, rtol=1e3 * EPS)
    # The planted mistake: a decoder without the data's log-odds.
    bare = eqx.tree_at(lambda p: p.model.decoder.offset, pair, jnp.zeros(4))
    assert abs(log_evidence(bare, choice, X[0]) - wanted[0]) > 1e-3


@pytest.mark.parametrize("choice", ["categorical:2x3", "bernoulli:3,2"])
def test_importance_sampling_finds_it_with_its_error(choice, schema, perturbed):
    pair = made(choice, schema, perturbed)
    rows, key = Datum(jnp.asarray(X)), jax.random.key(9)
    found = weigh(*pair.bind(), rows, key=key, num_particles=20_000)
    value, error = found.log_evidence.value, np.linalg.norm(found.errors) / len(X)
    wanted = np.array([log_evidence(pair, choice, x) for x in X])
    assert found.log_evidence.side == "lower"
    assert abs(value - wanted.mean()) < 5 * error
    # The ELBO, which forgets the gap to the posterior, is caught.
    elbo = weigh(*pair.bind(), rows, key=key, num_particles=2000).elbo
    assert abs(elbo.value - wanted.mean()) > 5 * error


@every_choice
def test_terms_come_by_layer(choice, schema, perturbed):
    model, guide = made(choice, schema, perturbed).bind()
    minted = eqx.filter_eval_shape(
        lambda: particles(model, guide, guide, Datum(jnp.asarray(X[0])), jax.random.key(0), 5)
    )
    layers = () if "," not in choice else (2,)
    assert minted.terms[LOG_PRIOR].shape == (5, *layers)
    assert minted.terms[NEG_LOG_Q].shape == (5, *layers)


@pytest.mark.parametrize("choice", ["bernoulli:3", "categorical:2x3"])
def test_kl_is_closed_and_by_unit(choice, schema, perturbed):
    model, guide = made(choice, schema, perturbed).bind()
    row = Datum(jnp.asarray(X[0]))
    q = guide(row)
    kl = np.asarray(model.kl(row, q, q.mean()))
    units = int(choice.split(":")[1].split("x")[0])
    assert kl.shape == (units,)
    every = q.enumerated()
    log_p = -jax.jit(jax.vmap(lambda z: as_proposal(model.prior()).terms(z)[NEG_LOG_Q]))(
        every.support
    )
    wanted = float(np.sum(np.exp(every.log_q) * (every.log_q - log_p)))
    assert_allclose(kl.sum(), wanted, rtol=1e3 * EPS)


@pytest.mark.parametrize("choice", ["bernoulli:3,2", "categorical:2x3,1x2"])
def test_draws_of_the_layered_prior_have_its_probabilities(choice, schema, perturbed):
    prior = as_proposal(made(choice, schema, perturbed).model.prior())
    count = 20_000
    below, above = (np.asarray(z) for z in prior.draw(jax.random.key(3), count).z)
    rows = np.concatenate([below.reshape(count, -1), above.reshape(count, -1)], axis=1)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    split = below.reshape(count, -1).shape[1]
    shapes = below.shape[1:], above.shape[1:]

    def log_prob(row):
        z = row[:split].reshape(shapes[0]), row[split:].reshape(shapes[1])
        return -jnp.sum(prior.terms(z)[NEG_LOG_Q])

    p = np.exp(np.asarray(jax.jit(jax.vmap(log_prob))(jnp.asarray(values))))
    errors = np.sqrt(p * (1 - p) / count)
    assert np.all(np.abs(counts / count - p) < 5 * errors)
    # All mass is found: outcomes that never came up are rare ones.
    assert 1 - p.sum() < 20 / count
    # The planted mistake: the two layers drawn apart.
    assert np.any(np.abs(counts / count - np.full(len(p), 1 / len(p))) > 5 * errors)


def test_a_uniform_prior_does_not_move(schema):
    for learned, moves in (("learned", True), ("uniform", False)):
        pair = Discrete(latents="bernoulli:3", prior=learned).init(schema, jax.random.key(0))
        model, guide = pair.bind()

        def value(model, guide=guide):
            z = jnp.array([1.0, 0.0, 1.0])
            return model.log_joint(Datum(jnp.asarray(X[0])), z)

        gradient = eqx.filter_grad(value)(model).prior_family.logits
        assert bool(np.any(gradient != 0)) is moves
        assert_allclose(as_proposal(model.prior()).mean(), 0.5)


def test_the_start_is_at_the_marginals_of_the_rows(schema):
    rows = np.random.default_rng(0).integers(0, 2, size=(40, 4)).astype(float)
    rows[:, 2] = 1.0  # a constant column stops short of certainty
    mask = np.ones_like(rows, bool)
    mask[:10, 1] = False
    rows[:10, 1] = np.nan
    architecture = Discrete(latents="bernoulli:3,2")
    pair = architecture.init(schema, jax.random.key(0))
    started = architecture.start(pair, Datum(jnp.asarray(rows), jnp.asarray(mask)), schema=schema)
    share = np.array([rows[mask[:, d], d].mean() for d in range(4)])
    assert_allclose(started.guide.first.center, share, rtol=10 * EPS)
    assert_allclose(
        expit(np.asarray(started.model.decoder.offset)), np.clip(share, 0.001, 0.999),
        rtol=100 * EPS,
    )  # fmt: skip
    # An encoder sees a cell that was not observed as its column's mean.
    hidden = Datum(jnp.array([1.0, jnp.nan, 0, 1]), jnp.array([True, False, True, True]))
    at_mean = Datum(jnp.array([1.0, share[1], 0, 1]))
    logits = [started.guide(d).first.logits for d in (hidden, at_mean)]
    assert_allclose(*logits, rtol=100 * EPS)


def test_a_nonlinear_model_has_hidden_layers_everywhere(schema):
    architecture = Discrete(latents="bernoulli:3,2", hidden=(5,))
    model, guide = architecture.init(schema, jax.random.key(0)).bind()
    networks = (
        guide.first.encoder, guide.second.network, model.decoder.network,
        model.prior_family.given.network,
    )  # fmt: skip
    assert [len(network.layers) for network in networks] == [2, 2, 2, 2]
    linear = replace(architecture, hidden=()).init(schema, jax.random.key(0)).guide.first.encoder
    assert len(linear.layers) == 1


@pytest.mark.parametrize(
    ("columns", "bits"), [(1, 16), (16, 16), (33, 16), (69, 34), (180, 90), (401, 200), (784, 200)]
)
def test_a_row_of_more_numbers_gets_more_bits(columns, bits, schema):
    schema = replace(schema, shape=(columns,))
    assert Discrete().resolved(schema)[0].latents == f"bernoulli:{bits}"
    assert Discrete(latents="bernoulli:5").resolved(schema)[0].latents == "bernoulli:5"


@pytest.mark.parametrize(
    ("choice", "remedy"),
    [
        ("bernoulli:3,bernoulli:2", "bernoulli:3,2"),
        ("categorical:2x3,categorical:1x2", "categorical:2x3,1x2"),
        ("bernoulli:3,two", "bernoulli:200"),
        ("categorical:2x3,bernoulli:2", "categorical:20x10"),
    ],
)
def test_two_layers_of_one_family_name_it_once(choice, remedy):
    with pytest.raises(InputError) as caught:
        Discrete(latents=choice)
    assert str(caught.value).endswith(f"got {choice!r}. Try {remedy}.")
