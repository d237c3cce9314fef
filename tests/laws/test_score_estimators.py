"""The score-function family: its baselines, what it is equal to, where it has no variance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from estimator_routes import (
    EXACT,
    Route,
    expected_gradient,
    largest_error,
    mean_gradient,
    moved_state,
    table_route,
)
from known_models import CategoricalGuide, EnumeratedGuide, FedGuide, datum, given
from scipy.special import logsumexp, softmax
from unchecked import types_unchecked

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import Datum, Dirac, InputError, Pair, frozen, particles
from taut.gradients import (
    NVIL,
    VIMCO,
    LeaveOneOut,
    MovingAverage,
    NetworkBaseline,
    ScoreFunction,
)
from taut.gradients.baselines.running_moments import RunningMoments

WITHIN = EXACT["enumeration"]


@pytest.mark.parametrize("bound", [ELBO(kl="sampled"), IWAE(num_particles=2)])
@pytest.mark.parametrize("baseline", [None, NetworkBaseline(hidden=(3,))], ids=["none", "network"])
def test_every_baseline_leaves_the_mean_where_it_is(baseline, bound, float64):
    gradient = mean_gradient(ScoreFunction(baseline), bound, table_route())
    assert largest_error(gradient, expected_gradient(bound, "enumeration")) < WITHIN


def test_vimco_is_unbiased_with_the_arithmetic_mean_too(float64):
    bound = Renyi(alpha=0.5, num_particles=3)
    gradient = mean_gradient(VIMCO(mean="arithmetic"), bound, table_route())
    assert largest_error(gradient, expected_gradient(bound, "enumeration")) < WITHIN


# What each is equal to, at given draws.


def guide_gradient(estimator, bound, route: Route, z, aux=None) -> np.ndarray:
    """The gradient in the guide's logits at these draws."""

    @jax.jit
    @jax.grad
    def gradient(guide):
        fed, key = FedGuide(guide, jnp.asarray(z), given), jax.random.key(0)
        return estimator(bound, route.pair.model, fed, datum(route.x), key, aux=aux).surrogate

    return np.asarray(gradient(route.pair.guide).logits)


def log_weights_and_scores(route: Route, z) -> tuple[np.ndarray, np.ndarray]:
    """log w (K,) and grad log q (K, M) by hand: onehot(z) - q."""
    q = softmax(np.asarray(route.pair.guide.logits))
    log_w = route.pair.model.log_joint_table()[:, route.x] - np.log(q)
    return log_w[np.asarray(z)], np.eye(3)[np.asarray(z)] - q


@pytest.mark.parametrize("z", [(0, 1), (2, 2, 0, 1)])
def test_leave_one_out_is_minus_the_gradient_of_half_the_variance_of_log_w(z, float64):
    """VarGrad: with the draws held, and only log q of the log-weights live."""
    route = table_route()

    @jax.jit
    @jax.grad
    def half_variance(guide):
        still = frozen(route.pair.guide)
        made = particles(
            route.pair.model,
            FedGuide(still, jnp.asarray(z), given),
            guide,
            datum(route.x),
            jax.random.key(0),
            len(z),
        )
        return 0.5 * jnp.var(made.log_w, ddof=1)

    bound = ELBO(kl="sampled", num_draws=len(z))
    gradient = guide_gradient(LeaveOneOut(), bound, route, z)
    np.testing.assert_allclose(gradient, -half_variance(route.pair.guide).logits, atol=1e-14)


def test_leave_one_out_has_no_variance_at_the_posterior(float64):
    """Each pair of draws gives zero; a moving average of the signal, here not its mean, does not."""
    route = table_route()
    log_joint = jnp.asarray(route.pair.model.log_joint_table()[:, route.x])
    at = route._replace(pair=Pair(route.pair.model, CategoricalGuide(log_joint)))
    bound = ELBO(kl="sampled", num_draws=2)
    gradient = guide_gradient(LeaveOneOut(), bound, at, (0, 2))
    np.testing.assert_allclose(gradient, np.zeros(3), atol=1e-14)
    averaged = ScoreFunction(MovingAverage())
    aux = moved_state(averaged, at)
    assert np.max(np.abs(guide_gradient(averaged, bound, at, (0, 2), aux))) > 0.1


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
def test_vimco_weighs_each_score_by_its_own_signal(mean, float64):
    route, z = table_route(), (0, 0, 2)
    log_w, score = log_weights_and_scores(route, z)
    w, signals = np.exp(log_w), []
    for k in range(3):
        others = np.delete(w, k)
        stand_in = np.exp(np.mean(np.log(others))) if mean == "geometric" else np.mean(others)
        signals.append(np.log(np.sum(w)) - np.log(np.sum(others) + stand_in))
    expected = (np.array(signals) - softmax(log_w)) @ score
    gradient = guide_gradient(VIMCO(mean=mean), IWAE(num_particles=3), route, z)
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


def test_the_plain_score_function_keeps_the_whole_weight_and_the_minus_one(float64):
    route, z = table_route(), (1, 2)
    log_w, score = log_weights_and_scores(route, z)
    plain = ScoreFunction(baseline=None)
    elbo = guide_gradient(plain, ELBO(kl="sampled", num_draws=2), route, z)
    np.testing.assert_allclose(elbo, (log_w - 1) @ score / 2, atol=1e-14)
    joint = logsumexp(log_w) - np.log(2)
    iwae = guide_gradient(plain, IWAE(num_particles=2), route, z)
    np.testing.assert_allclose(iwae, (joint - softmax(log_w)) @ score, atol=1e-14)


# How baselines move.


@pytest.mark.parametrize("bound", [ELBO(kl="closed"), ELBO(kl="sampled", num_draws=2)])
def test_variance_normalization_divides_the_guides_gradient_and_says_so(bound, float64):
    """A running mean square of 9.25 about a mean of 0.5: the deviation is 3."""
    route, estimator = table_route(), NVIL(NetworkBaseline((3,), normalize_variance=True))
    moments = RunningMoments(jnp.ones(()), jnp.array(0.5), jnp.array(9.25))
    state = moved_state(estimator, route)._replace(left=moments)
    gradient = mean_gradient(estimator, bound, route, aux=state)
    expected = expected_gradient(bound, "enumeration")
    assert largest_error(gradient.model, expected.model) < WITHIN
    assert abs(gradient.guide.logits * 3 - expected.guide.logits).max() < WITHIN
    assert "divided by the running standard deviation" in str(estimator.departure(bound))
    assert NVIL().departure(bound) is None


def test_signals_that_vary_little_are_not_blown_up(float64):
    route, estimator = table_route(), NVIL(NetworkBaseline((3,), normalize_variance=True))
    moments = RunningMoments(jnp.ones(()), jnp.array(0.0), jnp.array(0.25))
    state = moved_state(estimator, route)._replace(left=moments)
    gradient = mean_gradient(estimator, ELBO(), route, aux=state)
    assert largest_error(gradient, expected_gradient(ELBO(), "enumeration")) < WITHIN


def test_the_moving_average_is_of_batches_past(float64):
    baseline, row = MovingAverage(decay=0.75), datum(1)
    state, seen = baseline.init(jax.random.key(0), row), []
    for signal in (-8.0, -4.0, 2.0):
        seen.append(float(baseline(state, row).baseline))
        statistics = baseline.statistics(state, row, jnp.array([signal - 1.0, signal + 1.0]))
        state = baseline.update(state, None, statistics)
    # Weights 1; 0.75 and 1 over 1.75: the newest counts most.
    np.testing.assert_allclose(seen, [0.0, -8.0, (0.75 * -8.0 - 4.0) / 1.75], rtol=1e-14)


def test_the_network_learns_the_signal_of_each_row(float64):
    """Signals that depend on the row alone, -3 and 5: what is left of them after 300 steps."""
    baseline = NetworkBaseline(hidden=(8,), learning_rate=0.03)
    rows, signals = Datum(x=jnp.array([[0.0, 1.0], [1.0, 0.0]])), jnp.array([[-3.0], [5.0]])
    start = baseline.init(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], rows))
    live, still = eqx.partition(start, eqx.is_inexact_array)

    def step(_, live):
        state = eqx.combine(live, still)

        def loss(live):
            per_row = jax.vmap(baseline.loss, in_axes=(None, 0, 0))
            return jnp.mean(per_row(eqx.combine(live, still), rows, signals))

        per_row = jax.vmap(baseline.statistics, in_axes=(None, 0, 0))(state, rows, signals)
        statistics = jax.tree.map(jnp.mean, per_row)
        return eqx.filter(
            baseline.update(state, jax.grad(loss)(live), statistics), eqx.is_inexact_array
        )

    live = jax.jit(lambda live: jax.lax.fori_loop(0, 300, step, live))(live)
    state = eqx.combine(live, still)
    predicted = jax.vmap(lambda row: baseline(state, row).baseline)(rows)
    np.testing.assert_allclose(predicted, signals[:, 0], atol=0.05)


def test_the_network_does_not_see_what_is_not_observed(float64):
    baseline, x = NetworkBaseline(hidden=(3,)), jnp.array([0.3, -2.0])
    state = baseline.init(jax.random.key(0), Datum(x=x))

    def predicted(x, mask):
        return float(baseline(state, Datum(x=x, mask=mask)).baseline)

    mask = jnp.array([True, False])
    assert predicted(x, mask) == predicted(x.at[1].set(7.0), mask)
    assert predicted(x, None) != predicted(x.at[1].set(7.0), None)


# Refusals.


def refusal(estimator, bound, guide=None) -> str:
    route = table_route()
    with pytest.raises(InputError) as refused:
        estimator(
            bound,
            route.pair.model,
            route.pair.guide if guide is None else guide,
            datum(1),
            jax.random.key(0),
        )
    return str(refused.value)


def test_one_draw_leaves_nothing_when_one_is_left_out():
    assert refusal(LeaveOneOut(), ELBO()) == (
        "leave-one-out gradient: expected at least two draws, of which one is left out, got 1. "
        'Try num_draws=2, or gradient="score-function".'
    )
    assert refusal(VIMCO(), IWAE(num_particles=1)) == (
        "vimco: expected at least two particles inside a logarithm, got 1. "
        'Try bound="iwae" with num_particles=2.'
    )


@pytest.mark.parametrize(
    ("bound", "joins"),
    [(IWAE(), "iwae"), (Renyi(), "renyi"), (ELBO(num_draws=2, free_bits=0.1), "elbo")],
)
def test_leave_one_out_refuses_an_objective_that_joins_the_draws(bound, joins):
    assert refusal(LeaveOneOut(), bound) == (
        "leave-one-out gradient: expected an objective that is an average over the draws, got the "
        f'bound \'{joins}\', which joins them. Try gradient="vimco", or bound="elbo" without free bits.'
    )


@pytest.mark.parametrize("bound", [ELBO(num_draws=2), Renyi(alpha=1.0)])
def test_vimco_refuses_an_average(bound):
    assert refusal(VIMCO(), bound) == (
        "vimco: expected at least two particles inside a logarithm, got the bound "
        f'\'{bound.name}\', an average over draws. Try gradient="rloo", or bound="iwae".'
    )


def test_vimco_refuses_a_warm_up():
    assert refusal(VIMCO(), IWAE(warmup_steps=9)).startswith(
        "vimco: expected an IWAE bound whose KL has its full weight from the first step, got a "
        "warm-up of 9 steps."
    )


def test_vimco_refuses_a_logarithm_that_it_does_not_know():
    bound = ELBO(num_draws=2, free_bits=0.1)
    assert refusal(VIMCO(), bound) == (
        "vimco: expected the bound iwae or renyi, got the bound 'elbo'. "
        'Try gradient="score-function".'
    )


@pytest.mark.parametrize(
    ("estimator", "bound"),
    [(ScoreFunction(), ELBO()), (LeaveOneOut(), ELBO(num_draws=2)), (VIMCO(), IWAE())],
)
def test_draws_that_are_not_random_are_refused(estimator, bound):
    for guide, name in ((EnumeratedGuide(jnp.zeros(3)), "Enumerated"), (dirac, "Dirac")):
        assert refusal(estimator, bound, guide) == (
            f"gradient: expected a guide that draws z at random, got {name}, which leaves nothing "
            'to chance. Try gradient="reparameterized", which is exact for it.'
        )


def dirac(row):
    return Dirac(jnp.zeros(()), jnp.zeros(()))


@pytest.mark.parametrize("estimator", [ScoreFunction(), NVIL()])
def test_a_baseline_without_its_state_is_refused(estimator):
    assert refusal(estimator, ELBO()) == (
        "aux: expected the baseline's state, got None. Try `estimator.init(key, row)`."
    )


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_never_moves_is_refused(decay):
    for make in (MovingAverage, NetworkBaseline):
        with pytest.raises(InputError, match=r"decay: expected a decay of at least 0 and below 1"):
            make(decay=decay)


def test_an_unknown_mean_is_refused():
    with types_unchecked(), pytest.raises(InputError) as refused:
        VIMCO(mean="harmonic")  # pyright: ignore[reportArgumentType]
    assert str(refused.value) == (
        "mean: expected geometric or arithmetic, got 'harmonic'. Try geometric."
    )
