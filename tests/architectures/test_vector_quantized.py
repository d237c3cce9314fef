"""Vector quantization: what is reported is a bound, and training follows its equations, in NumPy."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_expit, logsumexp

import taut
from taut.architectures import VQ
from taut.audit import gradient_bench
from taut.audit.code_use import CodeUse, code_use
from taut.bounds import ELBO, IWAE
from taut.core import Datum, InputError, particles
from taut.evidence import importance_sampling
from taut.fitted.facts import CodesInUse
from taut.gradients import ScoreFunction
from taut.inference import CodebookAverages, Joint, WakeSleep, departures
from taut.inference.amortized import quantized

EPS = np.finfo(np.float64).eps
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
POSITIONS, CODES, DIM = 2, 3, 2
BETA, DECAY = 0.3, 0.9


@pytest.fixture
def pair(schema, perturbed, float64):
    architecture = VQ(
        latents=f"{POSITIONS}x{CODES}", code_dim=DIM, hidden=(), likelihood="bernoulli"
    )
    return perturbed(architecture.init(schema, jax.random.key(0)))


def affine(network, u):
    (layer,) = network.layers
    return u @ np.asarray(layer.weight) + np.asarray(layer.bias)


def encoded(pair, x):
    return affine(pair.encoder, x - np.asarray(pair.center)).reshape(POSITIONS, DIM)


def nearest(pair, x):
    distances = ((encoded(pair, x)[:, None] - np.asarray(pair.codebook)) ** 2).sum(axis=2)
    return distances.argmin(axis=1)


def log_likelihood(pair, x, codes):
    z = np.asarray(pair.codebook)[np.asarray(codes)].reshape(-1)
    logits = affine(pair.decoder.network, z) + np.asarray(pair.decoder.offset)
    return np.sum(log_expit(np.where(x > 0, logits, -logits)))


def test_what_is_reported_is_below_the_sum_over_all_sequences_of_codes(pair):
    found = importance_sampling(
        pair, Datum(jnp.asarray(X)), key=jax.random.key(1), num_particles=2
    ).log_evidence
    assert found.side == "lower"
    at_nearest = [log_likelihood(pair, x, nearest(pair, x)) for x in X]
    assert_allclose(found.values, np.array(at_nearest) - POSITIONS * np.log(CODES), rtol=1e3 * EPS)
    every = list(itertools.product(range(CODES), repeat=POSITIONS))
    exact = [logsumexp([log_likelihood(pair, x, k) for k in every]) - np.log(len(every)) for x in X]
    assert np.all(np.asarray(found.values) < np.array(exact) - 1e-3)


def test_the_encoder_gets_the_decoders_slope_and_the_pull_of_its_code(pair):
    """d/dh [log p(x | z) at z = e, and -beta |h - e|^2], by hand; the codebook gets nothing."""
    row, x = Datum(jnp.asarray(X[0])), X[0]
    algorithm = quantized(
        pair, ELBO(), optax.sgd(1.0), commitment=BETA, decay=DECAY, example=row,
        key=jax.random.key(0),
    )  # fmt: skip
    batch = jax.tree.map(lambda leaf: leaf[None], row)
    moved = algorithm.pair(jax.jit(algorithm.step)(algorithm.init(), batch)[0])
    e = np.asarray(pair.codebook)[nearest(pair, x)]
    (decoder,) = pair.decoder.network.layers
    logits = affine(pair.decoder.network, e.reshape(-1)) + np.asarray(pair.decoder.offset)
    slope = np.asarray(decoder.weight) @ (x - 1 / (1 + np.exp(-logits)))
    pull = -2 * BETA * (encoded(pair, x) - e).reshape(-1)
    (before,), (after,) = pair.encoder.layers, moved.encoder.layers
    assert_allclose(after.bias - before.bias, slope + pull, rtol=1e4 * EPS, atol=1e3 * EPS)
    read = x - np.asarray(pair.center)
    assert_allclose(
        after.weight - before.weight, np.outer(read, slope + pull), rtol=1e4 * EPS, atol=1e3 * EPS
    )
    assert np.max(np.abs(pull)) > 0.01  # a commitment that were left out would show

    def objective(pair):
        model, guide = pair.bind()
        return ELBO()(particles(model, guide, guide, row, jax.random.key(0), 1))

    through = eqx.filter_grad(objective)(pair).codebook
    assert_allclose(through, np.zeros((CODES, DIM)))


def test_codes_follow_the_averages_of_what_they_stand_for(pair):
    """Two steps of n and s, with networks that do not move; codes without rows start again."""
    rows = Datum(jnp.asarray(X))
    algorithm = quantized(
        pair, ELBO(), optax.sgd(0.0), commitment=BETA, decay=DECAY,
        example=jax.tree.map(lambda leaf: leaf[0], rows), key=jax.random.key(0),
    )  # fmt: skip
    step, state = jax.jit(algorithm.step), algorithm.init()
    uses, sums = np.zeros(CODES), np.zeros((CODES, DIM))
    h = np.concatenate([encoded(pair, x) for x in X])
    for _ in range(2):
        now = algorithm.pair(state)
        codes = np.concatenate([nearest(now, x) for x in X])
        member = np.eye(CODES)[codes]
        uses = DECAY * uses + (1 - DECAY) * member.sum(axis=0)
        sums = DECAY * sums + (1 - DECAY) * member.T @ h
        state, _ = step(state, rows)
        codebook = np.asarray(algorithm.pair(state).codebook)
        dead = uses < 0.1
        assert_allclose(codebook[~dead], sums[~dead] / uses[~dead, None], rtol=1e3 * EPS)
        for k in np.flatnonzero(dead):
            assert np.any(np.all(np.isclose(codebook[k], h, rtol=1e3 * EPS), axis=1))
        uses[dead], sums[dead] = 1.0, codebook[dead]
    assert np.asarray(state.uses) == pytest.approx(uses, rel=1e-12)


def test_a_step_that_is_not_finite_moves_no_code(pair):
    rows = Datum(jnp.asarray(X).at[0, 0].set(jnp.nan))
    algorithm = quantized(
        pair, ELBO(), optax.sgd(0.1), commitment=BETA, decay=DECAY,
        example=jax.tree.map(lambda leaf: leaf[0], rows), key=jax.random.key(0),
    )  # fmt: skip
    state, metrics = jax.jit(algorithm.step)(algorithm.init(), rows)
    assert np.isnan(metrics["bound"])
    assert np.array_equal(algorithm.pair(state).codebook, pair.codebook)
    assert not np.any(state.uses)


def test_the_use_of_codes_is_counted(pair):
    found = code_use(pair, Datum(jnp.asarray(X)))
    counts = np.bincount(np.concatenate([nearest(pair, x) for x in X]), minlength=CODES)
    assert_allclose(found.shares, counts / (len(X) * POSITIONS))
    many = np.concatenate([np.repeat(X[:1], 512, axis=0), X])  # more than are looked at together
    counts = 512 * np.bincount(nearest(pair, X[0]), minlength=CODES) + counts
    assert_allclose(code_use(pair, Datum(jnp.asarray(many))).shares, counts / counts.sum())
    alike = CodeUse(np.full(4, 0.25), 8)
    assert alike.perplexity == pytest.approx(4.0)
    half = CodeUse(np.array([0.5, 0.5, 0.0, 0.0]), 8)
    assert half.perplexity == pytest.approx(2.0)
    assert half.facts == CodesInUse(codes=4, used=2, perplexity=half.perplexity, rows=8)


def test_a_fit_says_what_its_loss_is_and_how_codes_are_used():
    fitted = taut.fit(
        np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(float),
        model=VQ(latents="2x3", code_dim=2, hidden=(), likelihood="bernoulli", commitment=0.5),
        epochs=2, batch_size=20, evidence_particles=2, key=0,
    )  # fmt: skip
    assert fitted.facts.objective_departure == (
        "the encoder also pays 0.5 times the squared distance to its code, and codes follow the "
        "averages of what they stand for, not the bound"
    )
    assert fitted.facts.code_use.codes == 3
    assert fitted.facts.code_use.rows == 6
    assert fitted.estimates["log_evidence"].side == "lower"


def test_there_is_no_choice_of_gradient_to_measure(pair):
    with pytest.raises(InputError, match="got vector quantization, which has one"):
        gradient_bench(pair, Datum(jnp.asarray(X)), ELBO(), key=jax.random.key(0))


@pytest.mark.parametrize("bound", [ELBO(num_draws=3), IWAE(5)])
def test_draws_that_would_be_the_same_are_refused(bound):
    with pytest.raises(InputError, match="one draw of each row's codes, which are certain"):
        CodebookAverages().check(VQ(), bound, None)


def test_other_objectives_are_put_in_words_too():
    vae = taut.VAE()
    assert departures(Joint(), vae, ELBO(), ScoreFunction(), 10) == {}
    found = departures(WakeSleep("sleep"), vae, ELBO(beta=2.0), None, 10)
    assert found == {
        "objective differs from the bound": "the KL is weighed by beta = 2; the guide is fitted to "
        "dreams of the model, not to the bound"
    }
    relaxed = taut.gradients.Concrete()
    assert (
        "relaxed draws"
        in departures(Joint(), vae, ELBO(), relaxed, 10)["gradient differs from the bound's"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": "8"}, "latents"),
        ({"commitment": 0.0}, "commitment: expected a positive weight, got 0.0. Try 0.25."),
        ({"decay": 1.0}, "decay: expected a number in [0, 1), got 1.0. Try 0.99."),
        ({"code_dim": 0}, "code_dim"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError) as refused:
        VQ(**options)
    assert str(refused.value).startswith(message)
