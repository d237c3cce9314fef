"""Heads on latent features: what they learn from labelled rows, and what held-out rows decide."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta, norm

from taut.fitted.heads import best_temperature, logistic_head, ridge_head
from taut.fitted.prediction import NumberPrediction, class_scores, number_scores

RNG = np.random.default_rng(0)


def _classes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two numbers, and classes whose log-odds are linear in them."""
    z = RNG.normal(size=(count, 2)) * [1, 20] + [0, 5]
    logits = np.stack([0 * z[:, 0], 2 * z[:, 0], -z[:, 0]], axis=1)
    return z, (logits + RNG.gumbel(size=logits.shape)).argmax(axis=1)


def test_a_logistic_head_comes_near_the_classes_own_probabilities():
    head = logistic_head(*_classes(4000), _classes(1000), 3)
    z = np.array([[0.0, 5.0], [1.0, 5.0], [1.0, 25.0]])
    truth = log_softmax(np.stack([0 * z[:, 0], 2 * z[:, 0], -z[:, 0]], axis=1), axis=1)
    found = log_softmax(head.logits(z) / head.temperature, axis=1)
    assert np.abs(np.exp(found) - np.exp(truth)).max() < 0.05  # errors of 4,000 rows


def test_features_that_carry_nothing_do_not_drown_those_that_do():
    """Of a VAE with latents to spare the means of most are 0 but for a little noise."""
    generator = np.random.default_rng(1)
    codes = np.arange(1060) % 2
    told = generator.normal(size=1060) + 3 * codes
    z = np.column_stack([told, 0.01 * generator.normal(size=(1060, 60))])
    head = logistic_head(z[:40], codes[:40], (z[40:60], codes[40:60]), 2)
    error = (head.logits(z[60:]).argmax(axis=1) != codes[60:]).mean()
    least = norm.cdf(-1.5)  # Bayes' own
    assert error < least + 0.02
    head = ridge_head(z[:40], told[:40], (z[40:60], told[40:60]))
    assert head.deviation < 0.1


def test_a_class_without_a_row_is_improbable_and_finite():
    z, codes = _classes(200)
    head = logistic_head(z, np.minimum(codes, 1), _classes(50), 3)
    found = head.logits(z)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) < 2).all()


def test_logits_of_twice_the_size_have_temperature_two():
    logits = RNG.normal(size=(5000, 4)) * 2
    codes = (logits + RNG.gumbel(size=logits.shape)).argmax(axis=1)
    assert best_temperature(2 * logits, codes) == pytest.approx(2, rel=0.06)
    assert best_temperature(logits, codes) == pytest.approx(1, rel=0.06)


def test_the_temperature_is_the_most_probable_one_and_one_without_rows():
    logits, codes = RNG.normal(size=(12, 3)), RNG.integers(0, 3, 12)

    def loss(log_t: float) -> float:
        nll = -log_softmax(logits / np.exp(log_t), axis=1)[np.arange(12), codes].sum()
        return float(nll - norm.logpdf(log_t, scale=0.5))

    wanted = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)  # pyright: ignore
    assert best_temperature(logits, codes) == pytest.approx(wanted, rel=1e-4)
    assert best_temperature(logits[:0], codes[:0]) == 1


def test_a_ridge_head_has_the_deviation_of_held_out_errors():
    z = RNG.normal(size=(3000, 2))
    y = 100 + z @ [3, -4] + 2 * RNG.normal(size=3000)
    head = ridge_head(z[:2000], y[:2000], (z[2000:], y[2000:]))
    assert head.means(np.array([[1.0, 1.0]])) == pytest.approx(99, abs=0.3)
    assert head.deviation == pytest.approx(2, rel=0.1)


def test_held_out_rows_decide_the_penalty_of_a_ridge_head_and_its_deviation():
    """Of as many features as rows the smallest penalty is best on the rows that were fitted alone."""
    generator = np.random.default_rng(2)
    z, weights = generator.normal(size=(60, 24)), np.eye(24)[0]
    y = z @ weights + 2 * generator.normal(size=60)
    own, held = (z[:30], y[:30]), (z[30:], y[30:])
    head = ridge_head(*own, held)
    assert head.deviation == pytest.approx(np.sqrt(np.mean((head.means(held[0]) - held[1]) ** 2)))
    within = np.sqrt(np.mean((ridge_head(*own, own).means(held[0]) - held[1]) ** 2))
    assert head.deviation < 0.9 * within


def test_calibration_error_by_hand():
    # Two bins: three rows at .9 of which two are right, one at .6 which is wrong.
    p = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    found = class_scores(p, np.array([0, 0, 1, 1]), index=np.arange(4), drawn=False)
    assert found["ece"].value == pytest.approx((3 * abs(2 / 3 - 0.9) + 0.6) / 4)
    assert found["accuracy"].value == 0.5
    assert found["target_nll"].value == pytest.approx(-np.log([0.9, 0.9, 0.1, 0.4]).mean())
    assert found["accuracy"].data_error == pytest.approx(np.sqrt(1 / 3) / 2)


def test_scores_of_numbers_by_hand():
    mean = np.array([0.0, 1.0, 2.0])
    y, wide = mean + np.array([1.0, -2.0, 2.0]), np.ones(3)
    found = number_scores(
        NumberPrediction("y", mean, wide, mean - 1.5, mean + 1.5), y, wide,
        index=np.arange(3), drawn=False,
    )  # fmt: skip
    assert found["rmse"].value == pytest.approx(np.sqrt(3))
    assert found["rmse"].unit == "y"
    assert found["coverage"].value == pytest.approx(1 / 3)


@pytest.mark.parametrize("drawn", [False, True])
def test_no_score_by_draws_says_that_other_draws_give_the_same(drawn):
    p, mean = np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.0, 1.0])
    asked = {"index": np.arange(2), "drawn": drawn}
    numbers = NumberPrediction("y", mean, mean + 1, mean - 1, mean + 1)
    found = class_scores(p, np.array([0, 0]), **asked)
    found |= number_scores(numbers, mean + 0.5, mean, **asked)
    errors = np.array([score.mc_error for score in found.values()])
    assert len(found) == 5
    assert (np.isnan(errors) if drawn else errors == 0).all()


def test_no_error_of_a_score_depends_on_the_order_of_the_rows():
    generator = np.random.default_rng(2)
    logits, mean, y = generator.normal(size=(3, 60, 3))
    p = np.exp(log_softmax(logits, axis=1))
    codes = generator.integers(0, 3, 60)

    def errors(rows: np.ndarray) -> dict[str, float]:
        numbers = NumberPrediction("y", *mean[rows].T[[0, 0, 1, 2]])
        asked = {"index": rows, "drawn": False}
        scores = class_scores(p[rows], codes[rows], **asked)
        scores |= number_scores(numbers, y[rows, 0], y[rows, 1], **asked)
        return {name: score.data_error for name, score in scores.items()}

    in_order, shuffled = errors(np.arange(60)), errors(generator.permutation(60))
    assert in_order == pytest.approx(shuffled, rel=1e-12)
    assert min(in_order.values()) > 0


@pytest.mark.parametrize("right", [True, False])
def test_a_share_of_rows_that_are_all_alike_has_an_error_over_other_rows(right):
    """Of 18 of 18 rows a 95 % interval by Clopper and Pearson reaches 0.185 from the end."""
    codes = np.zeros(18, int) if right else np.ones(18, int)
    share = class_scores(np.tile([0.9, 0.1], (18, 1)), codes, index=np.arange(18), drawn=False)
    error = share["accuracy"].data_error
    furthest = 1 - beta.ppf(0.025, 18, 1)
    assert furthest / 6 < error < furthest / 2
    one = class_scores(np.array([[0.9, 0.1]]), np.array([0]), index=np.arange(1), drawn=False)
    assert np.isnan(one["accuracy"].data_error)
