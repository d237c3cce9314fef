"""Bias and variance of gradients: against closed forms, and with a planted mistake."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    NormalGuide,
    TableModel,
)

from taut.audit import GradientMoments, gradient_bench, gradient_moments
from taut.bounds import ELBO, IWAE
from taut.core import Datum, InputError, Pair, particles
from taut.gradients import (
    AbstractEstimator,
    Claim,
    DoublyReparameterized,
    Reparameterized,
    ScoreFunction,
    Surrogate,
)

GAUSSIAN = Pair(
    ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3)),
    NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.5)),
)
ROWS = Datum(x=jnp.array([0.8, -0.4, 1.5]))


class TooLong(AbstractEstimator):
    """Planted: a gradient that is a third too long."""

    name: ClassVar[str] = "too-long"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, guide, datum, key, bound.minted)
        return Surrogate(bound(made), 4 / 3 * bound.objective(made, step))


def draws(bias: np.ndarray, scale: np.ndarray, num: int, seed: int) -> np.ndarray:
    return bias + scale * np.random.default_rng(seed).normal(size=(num, bias.size))


@pytest.mark.parametrize("length", [0.0, 0.3])
def test_the_squared_bias_is_unbiased_and_its_error_is_its_spread(length):
    bias, scale = np.full(20, length / np.sqrt(20)), np.linspace(0.2, 1.5, 20)
    reference = np.ones((1, 20))
    found = [gradient_moments(1 + draws(bias, scale, 40, s), reference) for s in range(400)]
    values = np.array([m.squared_bias for m in found])
    spread = values.std(ddof=1)
    assert abs(values.mean() - length**2) < 5 * spread / np.sqrt(400)
    # A square of the mean gradient is too large by the trace of its covariance: it would be seen.
    assert np.sum(scale**2) / 40 > 5 * spread / np.sqrt(400)
    variance = 4 * length**2 / 20 * np.sum(scale**2) / 40 + 2 * np.sum(scale**4) / (40 * 39)
    claimed = np.array([m.squared_bias_error**2 for m in found])
    assert abs(claimed.mean() - variance) < 5 * claimed.std(ddof=1) / np.sqrt(400)
    np.testing.assert_allclose(spread, np.sqrt(variance), rtol=5 / np.sqrt(2 * 400))


def test_the_variance_is_the_trace_of_the_covariance():
    scale = np.linspace(0.2, 1.5, 20)
    moments = gradient_moments(draws(np.zeros(20), scale, 2000, 0), np.zeros((1, 20)))
    assert abs(moments.variance - np.sum(scale**2)) < 5 * moments.variance_error
    by_hand = np.sqrt(2 * np.sum(scale**4) / 2000)
    np.testing.assert_allclose(moments.variance_error, by_hand, rtol=0.2)


def test_the_norm_of_an_averaged_reference_is_unbiased():
    noisy = draws(np.zeros(50), np.ones(50), 40, 3)
    moments = gradient_moments(draws(np.zeros(50), np.ones(50), 40, 4), noisy)
    assert abs(moments.squared_norm) < 5 * np.sqrt(2 * 50 / (40 * 39))
    assert (noisy[0] ** 2).sum() > 10  # the norm of one block is no measure of it


def test_a_bias_that_was_not_measured_is_given_as_a_limit_that_holds():
    """The root of a noisy square is no bias of an unbiased gradient; the limit covers the truth."""
    truth, limits = 0.05, []
    for seed in range(40):
        reference = 3 * np.ones((1, 20))
        moments = gradient_moments(
            draws((1 + truth) * reference[0], np.ones(20), 100, seed), reference
        )
        limits.append(moments.relative_bias_limit)
        assert moments.relative_bias < moments.relative_bias_limit
    assert np.mean(np.asarray(limits) > truth) > 0.8
    assert min(limits) > 0  # also where the squared bias came out far below zero
    assert np.median(limits) < 0.15


@pytest.mark.parametrize(("squared", "most"), [(0.25, 0.45), (-0.25, 0.2)])
def test_the_limit_is_two_errors_above_the_squared_bias_or_zero(squared, most):
    moments = GradientMoments(squared, 0.1, 1.0, 0.0, 4.0)
    assert 4.0 * moments.relative_bias_limit**2 == pytest.approx(most)


def test_a_mistaken_estimator_is_caught_and_not_recommended(float64):
    bench = gradient_bench(
        GAUSSIAN, ROWS, ELBO(kl="sampled", num_draws=32), key=jax.random.key(0), num_repeats=200,
        estimators={"pathwise": Reparameterized(), "score": ScoreFunction(), "long": TooLong()},
    )  # fmt: skip
    by_name = {m.name: m for m in bench.measures}
    assert by_name["long"].biased
    for group in ("model", "guide"):
        moments = by_name["long"].moments[group]
        assert abs(moments.relative_bias - 1 / 3) < 5 * moments.relative_bias_error
    assert not by_name["pathwise"].biased
    assert not by_name["score"].biased
    assert "draws of" in bench.reference
    assert bench.recommended in ("pathwise", "score")
    assert by_name["pathwise"].milliseconds > 0
    assert by_name["pathwise"].evaluations == (32, 32)


def test_where_outcomes_are_enumerated_nothing_varies(float64):
    model = TableModel(jnp.array([0.2, -0.5]), jnp.array([[0.3, -1.2], [1.5, 0.1]]))
    pair = Pair(model, EnumeratedGuide(jnp.array([0.8, -0.1])))
    bench = gradient_bench(
        pair, Datum(x=jnp.array([1, 0])), ELBO(), key=jax.random.key(1), num_repeats=10,
        estimators={"enumerated": Reparameterized()},
    )  # fmt: skip
    moments = bench.measures[0].moments
    assert all(m.variance < 1e-28 for m in moments.values())
    assert not bench.measures[0].biased


def test_variance_by_enumeration(float64):
    """The variance of a score-function gradient over its outcomes, by hand: (log w - 1) score."""
    model = TableModel(
        jnp.array([0.2, -0.5, 0.4]), jnp.array([[0.3, -1.2], [1.5, 0.1], [-0.7, 0.9]])
    )
    logits = jnp.array([0.8, -0.1, 0.3])
    q = np.asarray(jax.nn.softmax(logits))
    signal = model.log_joint_table()[:, 1] - np.log(q) - 1
    scores = np.eye(3) - q
    outcomes = signal[:, None] * scores
    mean = q @ outcomes
    by_hand = q @ np.sum((outcomes - mean) ** 2, axis=1)
    bench = gradient_bench(
        Pair(model, CategoricalGuide(logits)), Datum(x=jnp.array([1])), ELBO(kl="sampled"),
        key=jax.random.key(2), num_repeats=400, estimators={"score": ScoreFunction(baseline=None)},
    )  # fmt: skip
    moments = bench.measures[0].moments["guide"]
    assert abs(moments.variance - by_hand) < 5 * moments.variance_error


def test_what_does_not_serve_is_listed_with_its_reason():
    bench = gradient_bench(
        GAUSSIAN, ROWS, ELBO(), key=jax.random.key(0), num_repeats=10,
        estimators={"reparameterized": Reparameterized(), "dreg": DoublyReparameterized()},
    )  # fmt: skip
    assert [m.name for m in bench.measures] == ["reparameterized"]
    assert 'bound="iwae"' in str(bench.refused["dreg"])


def test_messages():
    options: dict[str, Any] = {"key": jax.random.key(0)}
    with pytest.raises(InputError, match="num_repeats: expected at least 10 repeats, got 3"):
        gradient_bench(GAUSSIAN, ROWS, ELBO(), num_repeats=3, **options)
    dreg, long = {"dreg": DoublyReparameterized()}, {"long": TooLong()}
    with pytest.raises(InputError, match="gradients: expected an estimator that serves"):
        gradient_bench(GAUSSIAN, ROWS, ELBO(), estimators=dreg, **options)
    with pytest.raises(InputError, match="expected an unbiased estimator for the bound iwae"):
        gradient_bench(GAUSSIAN, ROWS, IWAE(2), estimators=long, num_repeats=10, **options)
