"""Wake-sleep: each side's mean gradient by enumeration, and what a step moves.

Two outcomes of x, three of z, all in tables, so that every expectation is a sum.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from known_models import Fed, FedGuide, TableModel, datum, given, tuples
from scipy.special import log_softmax, softmax
from unchecked import types_unchecked

from taut.architectures import VAE, Ladder
from taut.bounds import IWAE
from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Dirac,
    Enumerated,
    InputError,
    Pair,
    frozen,
    particles,
)
from taut.data import Schema
from taut.guides import ChainPair
from taut.inference.amortized import wake_sleep
from taut.inference.amortized.wake_sleep_objectives import sleep, wake
from taut.models import StandardNormal
from taut.transforms import Chain, VAELayer

EXACT = 1e-10
LADDER = Ladder(latent_dims=(3, 2), hidden=(8, 8))
TABLES = (np.array([0.2, -0.5, 0.4]), np.array([[0.3, -1.2], [1.5, 0.1], [-0.7, 0.9]]))
LOGITS = np.array([[0.8, -0.1, 0.3], [-0.6, 0.2, 0.9]])


class Table(AbstractModel):
    """The table model, drawn from: (z, x) where a dream is given, at random where it is None."""

    prior_logits: Any
    likelihood_logits: Any
    dream: Any = None

    def terms(self, datum, z):
        return TableModel(self.prior_logits, self.likelihood_logits).terms(datum, z)

    def prior(self):
        prior = dist.Categorical(logits=self.prior_logits)
        return prior if self.dream is None else Fed(prior, self.dream[:1], given)

    def sample(self, z, key):
        if self.dream is not None:
            return self.dream[1]
        return dist.Categorical(logits=self.likelihood_logits[z]).sample(key)


class TableGuide(eqx.Module):
    """q(z | x), a row of logits for each x; all outcomes where `enumerated`."""

    logits: Any
    enumerated: bool = eqx.field(static=True, default=False)

    def __call__(self, datum):
        row = self.logits[datum.x]
        if self.enumerated:
            return Enumerated(jnp.arange(3), jax.nn.log_softmax(row))
        return dist.Categorical(logits=row)


def start(**options) -> Pair:
    """The pair, in the precision of the test."""
    return Pair(Table(*map(jnp.asarray, TABLES)), TableGuide(jnp.asarray(LOGITS), **options))


def joint_table() -> np.ndarray:
    """p(z, x), (3, 2), by SciPy."""
    return np.exp(log_softmax(TABLES[1], axis=1) + log_softmax(TABLES[0])[:, None])


def mean_wake(num_particles: int, x: int) -> Pair:
    """The gradient of both wake surrogates, summed over all tuples of draws."""
    z, probabilities = map(jnp.asarray, tuples(softmax(LOGITS[x]), num_particles))

    @jax.jit
    @jax.grad
    def gradient(pair):
        def one(z):
            guide, key = FedGuide(pair.guide, z, given), jax.random.key(0)
            woken = wake(pair.model, guide, datum(x), key, num_particles)
            return woken.theta + woken.phi

        return probabilities @ jax.vmap(one)(z)

    return gradient(start())


def guide_gradient_to_posterior(x: int) -> np.ndarray:
    """-grad KL(p(z | x) to q(z | x)) = p(z | x) - q(z | x) in the logits, by hand."""
    joint = joint_table()[:, x]
    return joint / joint.sum() - softmax(LOGITS[x])


@pytest.mark.parametrize("num_particles", [1, 3])
def test_the_wake_gradient_of_the_model_is_that_of_iwae(num_particles, float64):
    x, bound = 1, IWAE(num_particles)
    z, _ = map(jnp.asarray, tuples(np.ones(3) / 3, num_particles))

    @jax.jit
    @jax.grad
    def expected(model):
        """The gradient of the bound's expectation, with draws and their probabilities held."""

        def one(z):
            guide = frozen(start().guide)
            fed, key = FedGuide(guide, z, given), jax.random.key(0)
            made = particles(model, fed, guide, datum(x), key, num_particles)
            return jnp.exp(jnp.sum(made.log_q)) * bound(made)

        return jnp.sum(jax.vmap(one)(z))

    found, right = mean_wake(num_particles, x).model, expected(start().model)
    for leaf, known in zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(leaf, known, atol=EXACT)


def test_the_wake_gradient_of_the_guide_is_biased_and_consistent(float64):
    """The error falls with K, towards 1/K: by more than a third from 3 to 6 particles; at one the
    only weight is 1, and the mean of the score is nothing."""
    right = guide_gradient_to_posterior(1)
    error = {
        k: np.max(np.abs(np.asarray(mean_wake(k, 1).guide.logits)[1] - right)) for k in (1, 3, 6)
    }
    np.testing.assert_allclose(np.asarray(mean_wake(1, 1).guide.logits), 0.0, atol=EXACT)
    assert error[1] > error[3] > 1.5 * error[6] > 1e3 * EXACT


def test_enumerated_draws_leave_no_bias(float64):
    @jax.jit
    @jax.grad
    def gradient(pair):
        woken = wake(pair.model, pair.guide, datum(1), jax.random.key(0), 1)
        return woken.theta + woken.phi

    found = gradient(start(enumerated=True))
    right = guide_gradient_to_posterior(1)
    np.testing.assert_allclose(found.guide.logits[1], right, atol=EXACT)
    posterior = joint_table()[:, 1] / joint_table()[:, 1].sum()
    prior_gradient = posterior - softmax(TABLES[0])  # that of log p(x)
    np.testing.assert_allclose(found.model.prior_logits, prior_gradient, atol=EXACT)


def test_the_sleep_gradient_is_that_of_the_kl_from_the_posterior_over_dreams(float64):
    """sum_x p(x) (p(z | x) - q(z | x)) by hand; nothing reaches the model."""
    joint = joint_table()
    dreams = jnp.array([(z, x) for z in range(3) for x in range(2)])

    @jax.jit
    @jax.grad
    def gradient(pair):
        def one(dream):
            model = Table(pair.model.prior_logits, pair.model.likelihood_logits, dream)
            return sleep(model, pair.guide, jax.random.key(0))

        return jnp.asarray(joint.ravel()) @ jax.vmap(one)(dreams)

    found = gradient(start())
    right = np.stack([joint[:, x].sum() * guide_gradient_to_posterior(x) for x in range(2)])
    np.testing.assert_allclose(found.guide.logits, right, atol=EXACT)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(found.model))


def test_dreams_come_from_the_model(float64):
    """The frequencies of 20000 dreams, within five standard errors; a dream's log q names it."""

    class Reads(eqx.Module):
        """log q(z | x) = -(2 z + x), which tells every (z, x) apart."""

        def __call__(self, datum):
            return Named(datum.x)

    class Named(dist.Distribution):
        """Not normalised; only its density is asked for."""

        support = dist.constraints.integer_interval(0, 2)

        def __init__(self, x):
            self.x = x
            super().__init__(batch_shape=(), event_shape=())

        def log_prob(self, value):
            return -(2.0 * value + self.x)

    keys = jax.random.split(jax.random.key(0), 20_000)
    names = jax.jit(jax.vmap(lambda key: -sleep(start().model, Reads(), key)))(keys)
    found = np.bincount(np.asarray(names).astype(int), minlength=6) / 20_000
    known = joint_table().ravel()
    assert np.all(np.abs(found - known) < 5 * np.sqrt(known * (1 - known) / 20_000))


# The algorithm.

ROWS = Datum(x=jnp.array([0, 1, 1, 1]))


def stepped(pair: AbstractPair, guide_rate: float, model_rate: float, steps: int = 1, **options):
    algorithm = wake_sleep(
        pair, optax.sgd(guide_rate), optax.sgd(model_rate), key=jax.random.key(0), **options
    )

    nothing = {"bound": jnp.zeros(())}

    @jax.jit
    def run(state):
        return jax.lax.fori_loop(
            0, steps, lambda _, carry: algorithm.step(carry[0], ROWS), (state, nothing)
        )

    state, metrics = run(algorithm.init())
    return algorithm.pair(state), metrics


@pytest.mark.parametrize("phi", ["wake", "sleep"])
def test_each_optimizer_moves_its_own_side(phi, float64):
    before = start()
    rested, _ = stepped(before, 0.1, 0.0, phi=phi)
    assert eqx.tree_equal(rested.model, before.model)
    assert not np.allclose(rested.guide.logits, LOGITS)
    rested, _ = stepped(before, 0.0, 0.1, phi=phi)
    assert eqx.tree_equal(rested.guide, before.guide)
    assert not np.allclose(rested.model.prior_logits, TABLES[0])


def test_both_is_the_average_of_wake_and_sleep(float64):
    """The same draws and dreams each time, and a plain gradient step."""
    moved = {
        phi: np.asarray(stepped(start(), 0.1, 0.0, phi=phi)[0].guide.logits) - np.asarray(LOGITS)
        for phi in ("wake", "sleep", "both")
    }
    np.testing.assert_allclose(moved["both"], (moved["wake"] + moved["sleep"]) / 2, atol=1e-15)
    assert np.max(np.abs(moved["wake"] - moved["sleep"])) > 1e-3


def test_the_bound_is_reported_and_the_data_are_learned(float64):
    """With every outcome drawn, the bound is log p(x); it reaches minus the entropy of the data."""
    pair, metrics = stepped(start(enumerated=True), 1.0, 1.0, steps=3000)
    best = 0.25 * np.log(0.25) + 0.75 * np.log(0.75)
    assert best - 1e-6 < float(metrics["bound"]) <= best + 1e-12
    learned = TableModel(pair.model.prior_logits, pair.model.likelihood_logits).log_joint_table()
    posterior = softmax(learned, axis=0).T
    np.testing.assert_allclose(softmax(pair.guide.logits, axis=1), posterior, atol=1e-4)


class Shared(AbstractPair):
    """A pair whose guide adds the model's prior logits to its own."""

    model: Table
    logits: Any

    def bind(self):
        return self.model, TableGuide(self.logits + self.model.prior_logits)


def test_what_both_sides_share_moves_with_both(float64):
    pair = Shared(start().model, jnp.asarray(LOGITS))
    theta, phi, both = (
        np.asarray(stepped(pair, g, m)[0].model.prior_logits) - np.asarray(TABLES[0])
        for g, m in ((0.0, 0.1), (0.1, 0.0), (0.1, 0.1))
    )
    assert np.max(np.abs(theta)) > 1e-3
    assert np.max(np.abs(phi)) > 1e-3
    np.testing.assert_allclose(both, theta + phi, atol=1e-15)


def test_a_step_that_is_not_finite_is_rejected_and_can_be_inspected(float64):
    pair = start()
    broken = eqx.tree_at(lambda p: p.model.prior_logits, pair, jnp.full(3, jnp.nan))
    algorithm = wake_sleep(broken, optax.sgd(0.1), optax.sgd(0.1), key=jax.random.key(0))
    state, metrics = jax.jit(algorithm.step)(algorithm.init(), ROWS)
    assert np.isnan(metrics["bound"])
    np.testing.assert_array_equal(state.parameters.guide.logits, LOGITS)
    assert int(state.step) == 1
    assert algorithm.inspect is not None
    inspection = jax.jit(algorithm.inspect)(algorithm.init(), ROWS)
    assert np.all(np.isnan(inspection.terms["log_prior"]))
    assert np.all(np.isfinite(inspection.terms["-log_q"]))


def test_rescaled_updates_are_shorter(float64):
    algorithm = wake_sleep(start(), optax.sgd(0.1), optax.sgd(0.1), key=jax.random.key(0))
    assert algorithm.rescale is not None
    step = jax.jit(algorithm.step)
    whole, _ = step(algorithm.init(), ROWS)
    half, _ = step(algorithm.rescale(algorithm.init(), 0.5), ROWS)
    moved = np.asarray(whole.parameters.guide.logits) - np.asarray(LOGITS)
    np.testing.assert_allclose(half.parameters.guide.logits - LOGITS, moved / 2, atol=1e-15)


def test_refusals():
    def refused(**options) -> str:
        sgd = optax.sgd(0.1)
        with types_unchecked(), pytest.raises(InputError) as refusal:
            wake_sleep(start(), sgd, sgd, key=jax.random.key(0), **options)
        return str(refusal.value)

    assert refused(num_particles=1) == (
        "num_particles: expected at least two particles for wake phi, which weighs them against "
        'each other, got 1. Try num_particles=5, or phi="sleep".'
    )
    assert refused(phi="dream") == "phi: expected wake, sleep or both, got 'dream'. Try wake."
    q = Dirac(jnp.zeros(()), jnp.zeros(()))
    with pytest.raises(InputError) as refusal:
        wake(start().model, lambda row: q, datum(1), jax.random.key(0), 2)
    assert str(refusal.value) == (
        "wake_sleep: expected a guide with a density, which is fitted to latents, got Dirac. "
        "Try `taut.inference.amortized.joint`."
    )


@pytest.mark.parametrize(
    "architecture", [VAE(latent_dim=2, hidden=(8,)), LADDER], ids=lambda a: a.name
)
@pytest.mark.parametrize("support", ["binary", "count"])
def test_dreams_of_whole_numbers_teach_the_encoder(architecture, support):
    """They are read as the same numbers of the data are."""
    schema = Schema(name="rows", kind="table", shape=(6,), support=support)
    model, guide = architecture.init(schema, jax.random.key(0)).bind()
    x = np.array([1, 0, 1, 1, 0, 1])
    whole, real = (guide.features(Datum(jnp.asarray(x, kind))) for kind in (int, float))
    np.testing.assert_array_equal(whole, real)
    gradient = eqx.filter_grad(lambda g: sleep(model, g, jax.random.key(3)))(guide)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient.encoder))


def test_a_chain_is_refused_whose_latents_a_dream_has_not():
    chain = Chain([VAELayer(
        lambda x: dist.Normal(x[:2], 1.0).to_event(1),
        lambda z: dist.Normal(jnp.concatenate([z, z[:1]]), 1.0).to_event(1), (3,), (2,),
    )])  # fmt: skip
    model, guide = ChainPair(chain, StandardNormal(2)).bind()
    with pytest.raises(InputError, match="of whose latents a dream has the last alone"):
        sleep(model, guide, jax.random.key(0))
