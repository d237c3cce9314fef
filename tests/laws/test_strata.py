"""Estimators x guides with an enumerated class: the gradient of what is accepted is the exact one.

The exact objective is an integral over nodes of z that stand still, within every class, weighed by the
guide's density; the mean gradient is an average over many keys, within five of its standard errors.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted_estimators import MeanOfAllDraws

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import Datum, InputError, Pair, StratifiedProposal, particles, particles_at
from taut.gradients import ESTIMATORS, LeaveOneOut, NetworkBaseline, ScoreFunction
from taut.models import LatentVariableModel, ProductPrior, StandardNormal
from taut.models.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("float64")

CLASSES, KEYS = 3, 4000
NODES = np.linspace(-12.0, 12.0, 601)
STEP = 3  # of the optimisation, within a warm-up

BOUNDS = [
    ELBO(num_draws=2),
    ELBO(kl="sampled"),
    ELBO(kl="closed", beta=0.5, warmup_steps=8),
    ELBO(free_bits=0.3),
    ELBO(num_draws=2, free_bits=0.3),
]
ACCEPTED = {"reparameterized", "stl", "score-function", "nvil"}
JOINED = [
    IWAE(num_particles=1),
    IWAE(num_particles=3),
    Renyi(alpha=0.5, num_particles=1),
    Renyi(alpha=0.5, num_particles=3),
]


class Classes(eqx.Module):
    """q(y) and q(z | y), the same for every row; y is the row's label where it has one."""

    logits: Any
    loc: Any
    log_scale: Any

    def __call__(self, datum):
        q = StratifiedProposal(self.logits, self.loc, jnp.exp(self.log_scale))
        return q if datum.label is None else q.known(datum.label)


class Curve(eqx.Module):
    weight: Any

    def __call__(self, z):
        return 2.0 * jnp.tanh(jnp.concatenate(z) @ self.weight)


def stratified_pair() -> Pair:
    weight = jnp.array([[0.7, -0.9], [-0.4, 0.3], [0.1, 1.2], [0.8, -0.5]])
    prior = ProductPrior(CLASSES, StandardNormal(1))
    model = LatentVariableModel(prior, Curve(weight), Gaussian(shape=(2,)), (2,))
    guide = Classes(
        jnp.array([0.3, -0.5, 0.8]),
        jnp.array([[0.5], [-0.4], [0.1]]),
        jnp.array([[-0.5], [0.2], [0.0]]),
    )
    return Pair(model, guide)


def row(label: int | None = None) -> Datum:
    return Datum(jnp.array([1.2, -0.6]), label=None if label is None else jnp.asarray(label))


def over_nodes(pair: Pair, datum: Datum) -> Any:
    """Particles at every node within every class, whose masses are q(y) q(z | y) dz."""
    q = pair.guide(datum)
    y = jnp.repeat(jnp.eye(CLASSES), len(NODES), axis=0)
    z = jnp.tile(jnp.asarray(NODES), CLASSES)[:, None]
    log_q = jax.vmap(lambda *at: -jnp.sum(q.terms(at)["-log_q"]))(y, z)
    log_mass = log_q + np.log(NODES[1] - NODES[0])
    return particles_at(pair.model, pair.guide, datum, (y, z), log_mass=log_mass)


def exact_gradient(bound: ELBO, datum: Datum) -> np.ndarray:
    """Of the objective as an integral, flat."""

    @jax.jit
    @jax.grad
    def gradient(pair):
        return bound.objective(over_nodes(pair, datum), STEP)

    return flat(gradient(stratified_pair()))[0]


def gradients(estimator: Any, bound: Any, datum: Datum, aux: Any = None) -> np.ndarray:
    """Of the surrogate for many keys, (KEYS, P)."""
    pair = stratified_pair()
    aux = moved(estimator.init(jax.random.key(1), datum, pair.guide)) if aux is None else aux

    @jax.jit
    def each(keys):
        def surrogate(pair, key):
            made = estimator(bound, pair.model, pair.guide, datum, key, step=STEP, aux=aux)
            return made.surrogate

        return jax.vmap(jax.grad(surrogate), in_axes=(None, 0))(pair, keys)

    return flat(each(jax.random.split(jax.random.key(0), KEYS)), KEYS)


def moved(state: Any) -> Any:
    """A state in which nothing is at its start, where much is zero."""
    return jax.tree.map(lambda a: a + 0.6 if eqx.is_inexact_array(a) else a, state)


def flat(gradient: Any, count: int = 1) -> np.ndarray:
    leaves = [np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(gradient)]
    return np.concatenate(leaves, axis=1)


def worst(estimator: Any, bound: Any, datum: Datum) -> float:
    """The largest distance from the exact gradient, in standard errors of the mean."""
    drawn = gradients(estimator, bound, datum)
    error = drawn.std(axis=0, ddof=1) / np.sqrt(KEYS)
    return float(np.max(np.abs(drawn.mean(axis=0) - exact_gradient(bound, datum)) / (error + 1e-9)))


@pytest.mark.parametrize("label", [None, 1])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_a_guide_with_classes_accepts_has_the_exact_gradient(name, label):
    served = 0
    for bound in BOUNDS:
        try:
            found = worst(ESTIMATORS[name](), bound, row(label))
        except InputError:
            continue  # a variant that the estimator refuses with a reason
        served += 1
        assert found < 5, bound
    assert bool(served) == (name in ACCEPTED)


def test_a_mean_over_all_classes_as_a_baseline_would_show():
    assert worst(MeanOfAllDraws(), ELBO(kl="sampled", num_draws=2), row()) > 10


@pytest.mark.parametrize("bound", JOINED, ids=lambda b: f"{b.name}-{b.minted}")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_bounds_that_join_the_classes_are_refused(name, bound):
    refusal(ESTIMATORS[name](), bound)


def refusal(estimator: Any, bound: Any) -> str:
    pair, key = stratified_pair(), jax.random.key(0)

    def ask():
        aux = estimator.init(key, row(), pair.guide)
        return estimator(bound, pair.model, pair.guide, row(), key, aux=aux)

    with pytest.raises(InputError) as refused:
        ask()
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("reparameterized", IWAE()),
        ("stl", IWAE(num_particles=1)),
        ("dreg", Renyi()),
        ("vimco", IWAE(num_particles=2)),
        ("score-function", Renyi(num_particles=1)),
        ("nvil", IWAE()),
        ("rloo", Renyi(alpha=1.0, num_particles=2)),
    ],
)
def test_the_refusal_says_what_trains_a_class(name, bound):
    assert refusal(ESTIMATORS[name](), bound) == (
        "gradient: expected the ELBO, where each class that the guide enumerates counts by its mass, "
        f'got the bound \'{bound.name}\'. Try bound="elbo" with gradient="reparameterized".'
    )


def test_baselines_and_signals_that_mix_classes_are_refused():
    assert refusal(LeaveOneOut(), ELBO(num_draws=2)) == (
        "leave-one-out gradient: expected draws of one distribution, any of which may stand in for the "
        "one that is left out, got 3 classes that the guide enumerates. "
        'Try gradient="reparameterized", or gradient="score-function".'
    )
    assert refusal(ScoreFunction(), ELBO(free_bits=0.1)) == (
        "score function: expected an objective that is an average over the classes that the guide "
        "enumerates, got free bits, which clip that average. Try free_bits=0, or "
        'gradient="reparameterized".'
    )


@pytest.mark.parametrize("label", [None, 2])
@pytest.mark.parametrize("baseline", ["moving-average", "network"])
def test_a_baseline_learns_the_average_over_classes_by_their_mass(baseline, label):
    """Of a row whose class is known, the signal of that class alone."""
    pair, datum, bound = stratified_pair(), row(label), ELBO(num_draws=2)
    estimator = (
        ScoreFunction() if baseline == "moving-average" else ScoreFunction(NetworkBaseline())
    )
    aux = estimator.init(jax.random.key(1), datum, pair.guide)
    if baseline == "network":  # which predicts nothing yet
        aux = aux._replace(
            network=jax.tree.map(lambda a: a * 0 if eqx.is_array(a) else a, aux.network)
        )
    made = estimator(bound, pair.model, pair.guide, datum, jax.random.key(3), aux=aux)
    minted = particles(pair.model, pair.guide, pair.guide, datum, jax.random.key(3), 2)
    terms = {n: t.reshape(2, CLASSES, -1).sum(axis=2) for n, t in minted.terms.items()}
    q = np.exp(np.asarray(pair.guide(datum).log_q_y))
    closed = np.asarray(minted.kl).sum(axis=1).reshape(2, CLASSES)
    signal = (np.asarray(terms["log_likelihood"]) - closed) @ q
    np.testing.assert_allclose(made.statistics, (signal.mean(), (signal**2).mean()), rtol=1e-12)


def test_a_known_class_is_no_noisier_with_a_baseline_than_without():
    bound, datum, pair = ELBO(num_draws=2), row(0), stratified_pair()
    estimator = ScoreFunction()
    aux = estimator.init(jax.random.key(1), datum, pair.guide)
    for key in jax.random.split(jax.random.key(2), 30):
        out = estimator(bound, pair.model, pair.guide, datum, key, aux=aux)
        aux = estimator.update(aux, None, out.statistics, jnp.asarray(0))
    centred = gradients(estimator, bound, datum, aux)
    plain = gradients(ScoreFunction(baseline=None), bound, datum)
    assert np.all(centred.std(axis=0) <= plain.std(axis=0) * 1.1 + 1e-12)


def log_joint(pair: Pair, label: int) -> float:
    """log p(x, y) by the trapezoidal rule over z."""
    y = jnp.eye(CLASSES)[label]

    def at(z):
        return sum(jnp.sum(term) for term in pair.model.terms(row(), (y, z[None])).values())

    found = np.asarray(jax.vmap(at)(jnp.asarray(NODES)))
    return float(np.log(np.sum(np.exp(found)) * (NODES[1] - NODES[0])))


@pytest.mark.parametrize("label", range(CLASSES))
def test_the_bound_of_a_row_whose_class_is_known_is_of_that_class(label):
    """IWAE and Renyi of many draws come to log p(x, y), whatever the other classes say."""
    pair, truth = stratified_pair(), log_joint(stratified_pair(), label)
    wide = eqx.tree_at(lambda p: p.guide.log_scale, pair, jnp.full((CLASSES, 1), 0.7))
    for bound in (IWAE(num_particles=2000), Renyi(alpha=0.5, num_particles=2000)):

        def value(guide, key, bound=bound):
            return bound(particles(pair.model, guide, guide, row(label), key, bound.minted))

        keys = jax.random.split(jax.random.key(0), 20)
        both = jax.jit(jax.vmap(jax.value_and_grad(value), in_axes=(None, 0)))
        values, gradient = both(wide.guide, keys)
        assert np.all(np.isfinite(flat(gradient, 20)))
        if isinstance(bound, IWAE):
            error = np.std(values, ddof=1) / np.sqrt(20)
            assert abs(float(np.mean(values)) - truth) < 5 * error + 1e-3
        assert float(np.mean(values)) < truth + 0.01


def test_a_class_that_is_excluded_has_no_mass_at_all():
    pair = stratified_pair()
    made = particles(pair.model, pair.guide, pair.guide, row(1), jax.random.key(0), 2)
    assert np.asarray(made.log_mass).tolist() == [-np.inf, -np.log(2.0), -np.inf] * 2
