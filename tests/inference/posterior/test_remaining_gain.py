"""What a climb still promises: no less than is left, of power laws, exponentials and plateaus."""

import sys

import numpy as np
import pytest

from taut.inference.posterior.averaged_sgd import averaged_sgd
from taut.inference.posterior.remaining_gain import remaining_gain


def climb(left: np.ndarray) -> list[np.ndarray]:
    """Bounds without noise, on four sets of draws, of a climb with so much left after each stage."""
    return [np.full(4, -each) for each in left]


@pytest.mark.parametrize("power", [0.4, 0.5, 1.0, 1.5])
def test_a_power_law_is_not_promised_less_than_it_leaves(power):
    t = np.arange(28.0)
    bounds = climb(np.maximum(t, 0.1) ** -power)
    left = 27.0**-power
    promised = remaining_gain(bounds, errors=0.0)
    # Windows (12, 18] and (18, 27] are in the ratio 3/2: Aitken's value, up to the allowances.
    most = left * ((2 / 3) ** -power - 1) / ((2 / 3) ** -0.4 - 1)
    assert promised == pytest.approx(min(3 * left, most))
    assert promised >= left * (1 - 1e-12)


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("stages", [6, 15, 27, 60])
def test_an_exponential_is_not_promised_less_than_it_leaves(scale, stages):
    left = np.exp(-np.arange(stages + 1.0) / (scale * stages))
    assert remaining_gain(climb(left), errors=0.0) >= left[-1]


@pytest.mark.parametrize("before", [4, 9, 30])
def test_a_plateau_half_as_long_as_the_climb_before_it_promises_the_climb(before):
    climbed = np.arange(before, 0, -1.0)  # a nat a stage
    longest = before // 2
    for plateau, least in [(longest - 1, 1.0), (longest + 2, 0.0)]:
        promised = remaining_gain(climb(np.append(climbed, np.zeros(plateau + 1))), errors=0.0)
        assert promised >= least
    assert promised == 0.0


def test_errors_and_bounds_that_are_not_finite_promise_more():
    bounds = climb(np.zeros(10))
    assert remaining_gain(bounds, errors=2.0) == 0.0
    noisy = [*bounds[:-1], np.array([0.1, -0.1, 0.1, -0.1])]
    assert remaining_gain(noisy, errors=0.0) == pytest.approx(0.0)
    assert remaining_gain(noisy, errors=2.0) > remaining_gain(noisy, errors=1.0) > 0.05
    for place in (-1, 6):
        lost = bounds.copy()
        lost[place] = np.full(4, -np.inf)
        assert remaining_gain(lost, errors=0.0) == np.inf


# ---- whole climbs under noise ----------------------------------------------------------------------


def left_of(family: str, rng: np.random.Generator) -> np.ndarray:
    """Nats left during each of 200 stages."""
    t = np.arange(0.5, 200)
    if family == "power":
        return 50 * (1 + t / rng.uniform(0.2, 4)) ** -rng.uniform(0.5, 2)
    if family == "exponential":
        return 50 * np.exp(-t / rng.uniform(0.4, 20))
    start = rng.integers(6, 40)
    end = start + start // 2
    return np.maximum(start - t, 0) + 5 * np.exp(-np.maximum(t - end, 0) / 2)


def ended_early(family: str, count: int) -> int:
    """Climbs that end with more than the precision left, of noise that shrinks with the steps."""
    early = 0
    for seed in range(count):
        rng = np.random.default_rng((len(family), seed))
        left, noise, values = left_of(family, rng), rng.uniform(0.01, 0.3), []

        def advance(number, size, left=left, noise=noise, values=values, rng=rng):
            values.append(-left[number] + size * noise * rng.normal(size=4))
            return number

        fit = averaged_sgd(
            advance, values.__getitem__, step_size=1.0, precision_nats=0.1, num_draws=1,
            clock=lambda: 0.0,
        )  # fmt: skip
        early += fit.converged and left[len(fit.rounds) - 1] > 0.1
    return early


@pytest.mark.parametrize("family", ["power", "exponential", "plateau"])
def test_climbs_are_not_ended_while_more_than_the_precision_is_left(family):
    assert ended_early(family, 25) == 0


@pytest.mark.parametrize("family", ["power", "exponential", "plateau"])
def test_a_rule_without_windows_ends_them(family, monkeypatch):
    module = sys.modules[averaged_sgd.__module__]
    monkeypatch.setattr(module, "remaining_gain", lambda bounds, errors: 0.0)
    assert ended_early(family, 25) > 4
