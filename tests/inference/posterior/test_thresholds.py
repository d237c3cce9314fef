"""Thresholds that turn numbers into words: both sides of each, and ties, by tables.

Every constant of the verdict, moved by a twentieth either way, must make its table fail.
"""

import math
import sys
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

import taut
from taut.core.optimum import Optimum
from taut.evidence import PosteriorMoments, SquareTails, khat_threshold
from taut.inference.posterior import sample_average, verdict
from taut.inference.posterior.averaged_sgd import averaged_sgd
from taut.inference.posterior.guide_choice import choose_guide
from taut.inference.posterior.sample_average import (
    AbstractSampleAverageFamily,
    sample_average_approximation,
)
from taut.inference.posterior.verdict import BELIEVE, DOUBT, RESAMPLE, judge, reliable
from taut.inference.posterior.weighted_draws import WeightedDraws, more_even

# ---- the verdict -----------------------------------------------------------------------------------


def _moments(mean: float, sd: float, sd_error: float = 0.0) -> PosteriorMoments:
    """Two coordinates, of which the first does not move at all."""
    nothing = np.zeros(2)
    return PosteriorMoments(
        np.asarray([5.0, mean]), nothing, np.asarray([0.0, sd]), np.asarray([0.0, sd_error]),
        np.zeros((2, 1)), np.zeros((2, 1)), np.asarray([0.5]),
    )  # fmt: skip


USUAL: dict[str, Any] = {
    "guide": "full-rank", "converged": True, "precision_nats": 0.1, "separate": (), "khat": 0.2,
    "endless": (), "threshold": 0.7, "largest": 5.0, "ess": 5000.0, "num_draws": 10_000,
    "raw": (0.0, 1.0), "sd_error": 0.0, "squares": (0.2, 0.1),
}  # fmt: skip
# What differs from the usual -> verdict, and a word of its reason.
VERDICTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, BELIEVE, "k-hat 0.20, below 0.70"),
    ({"converged": False}, DOUBT, "may still rise by more than 0.1 nats"),
    ({"converged": False, "ess": 1.0, "khat": 2.0, "largest": 99.0}, DOUBT, "may still rise"),
    # k-hat above the threshold, where some draw weighs more than ten times the mean
    ({"khat": 0.7, "largest": 99.0}, BELIEVE, "k-hat 0.70, at most 0.70"),
    ({"khat": 0.71, "largest": 10.1}, DOUBT, "k-hat 0.71, above 0.70, and a draw of 10 times"),
    ({"khat": 0.701, "largest": 54.0}, DOUBT, "k-hat 0.701, above 0.700, and a draw of 54 times"),
    ({"khat": 0.71, "largest": 10.0}, BELIEVE, "no draw weighs more than 10.0 times the mean"),
    ({"khat": 3.97, "largest": 9.9}, BELIEVE, "no draw weighs more than 9.9 times the mean"),
    ({"khat": math.inf, "largest": 9.9}, BELIEVE, "no draw weighs more than 9.9 times the mean"),
    ({"khat": math.nan, "largest": 10.1}, DOUBT, "k-hat could not be fitted"),
    ({"khat": math.nan, "largest": 9.9}, DOUBT, "k-hat could not be fitted"),
    ({"khat": math.inf, "largest": 99.0}, DOUBT, "above 0.70"),
    ({"khat": -math.inf}, BELIEVE, "the largest weights are equal"),
    # effective draws
    ({"ess": 900.0}, BELIEVE, "900 effective draws"),
    ({"ess": 899.0}, DOUBT, "899 effective draws, fewer than 900"),
    ({"ess": 400.0, "num_draws": 1000}, BELIEVE, "400 effective draws"),
    ({"ess": 399.0, "num_draws": 1000}, DOUBT, "399 effective draws, fewer than 400"),
    # the error of a standard deviation
    ({"sd_error": 0.0499}, BELIEVE, "effective"),
    ({"sd_error": 0.0501}, DOUBT, "an sd is known to 5 %, its standard error"),
    ({"sd_error": 0.0999, "num_draws": 100, "ess": 90.0}, BELIEVE, "effective"),
    ({"sd_error": 0.1001, "num_draws": 100, "ess": 90.0}, DOUBT, "an sd is known to 10 %"),
    # a standard deviation that hangs on few draws
    ({"squares": (0.5, 0.3)}, BELIEVE, "effective"),
    ({"squares": (0.51, 0.3)}, DOUBT, "the sd of b hangs on its largest draws"),
    ({"squares": (math.inf, 0.3)}, DOUBT, "k-hat of the squares inf, above 0.5"),
    ({"squares": (0.8, 0.00499)}, BELIEVE, "effective"),
    ({"squares": (0.8, 0.00501)}, DOUBT, "the sd of b hangs on"),
    # another optimum more than 2 sd away, that would move the mean by 0.1 sd or the variance by 0.3
    ({"separate": ((0.0, 2.0),)}, BELIEVE, "effective"),
    ({"separate": ((0.0, 2.1),)}, DOUBT, "1 of 2 starts ended in another optimum"),
    ({"separate": ((3.0, 2.0),)}, BELIEVE, "effective"),
    ({"separate": ((math.log(2.5 / 0.1) - 0.01, 2.5),)}, DOUBT, "another optimum"),
    ({"separate": ((math.log(2.5 / 0.1) + 0.01, 2.5),)}, BELIEVE, "effective"),
    ({"separate": ((math.log(100**2 / 0.3) - 0.01, 100.0),)}, DOUBT, "small mass is far away"),
    ({"separate": ((2.9, 9.0),)}, DOUBT, "another optimum of similar mass"),
    ({"separate": ((3.1, 9.0),)}, DOUBT, "another optimum whose small mass is far away"),
    ({"separate": ((math.log(100**2 / 0.3) + 0.01, 100.0),)}, BELIEVE, "effective"),
    ({"separate": ((0.0, 9.0), (1.0, 0.1), (-1.0, 3.0))}, DOUBT, "2 of 4 starts"),
    ({"separate": ((0.0, 9.0),), "ess": 9.0}, DOUBT, "9 effective draws"),
    # a start that widened without end, above the others or below
    ({"endless": (-5.0, -0.1)}, BELIEVE, "effective"),
    ({"endless": (-5.0, 0.1)}, DOUBT, "1 of the starts widened without end"),
    # how far the guide's moments are from the resampled ones
    ({"raw": (0.1, 1.0)}, BELIEVE, "within 0.10 sd"),
    ({"raw": (-0.1, 1.0)}, BELIEVE, "within 0.10 sd"),
    ({"raw": (0.1001, 1.0)}, RESAMPLE, "within 0.10 sd"),
    ({"raw": (-0.2, 1.0)}, RESAMPLE, "within 0.20 sd"),
    ({"raw": (0.0, 1.149)}, BELIEVE, "sds within 15 %"),
    ({"raw": (0.0, 1.151)}, RESAMPLE, "sds within 15 %"),
    ({"raw": (0.0, 0.851)}, BELIEVE, "sds within 15 %"),
    ({"raw": (0.0, 0.849)}, RESAMPLE, "sds within 15 %"),
]  # fmt: skip


def _judged(changed: dict[str, Any]) -> verdict.Verdict:
    given = {**USUAL, **changed}
    raw, resampled = _moments(*given.pop("raw")), _moments(0.0, 1.0, given.pop("sd_error"))
    khat, share = given.pop("squares")
    squares = SquareTails(np.array([-math.inf, khat]), np.array([0.0, share]))
    return judge(**given, raw=raw, resampled=resampled, squares=squares, names=("a", "b"))


@pytest.mark.parametrize(("changed", "wanted", "words"), VERDICTS)
def test_both_sides_of_every_threshold_of_the_verdict(changed, wanted, words):
    found = _judged(changed)
    assert found.verdict == wanted
    assert any(words in reason for reason in found.reasons)
    if wanted != DOUBT:
        assert "above" not in str(found)
    assert bool(found.remedy) == (wanted == DOUBT)


def _differs(changed: dict[str, Any], wanted: str, words: str) -> bool:
    found = _judged(changed)
    return found.verdict != wanted or not any(words in reason for reason in found.reasons)


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize(
    "constant",
    [
        "_SIMILAR_MASS",
        "_LEAST_ESS",
        "_LEAST_SHARE",
        "_SD_ERROR",
        "_MEAN",
        "_SD",
        "_HARMLESS",
        "_MISSED",
        "_SQUARES",
        "SEPARATE",
    ],
)  # fmt: skip
def test_a_constant_of_the_verdict_that_moved_is_caught(constant, factor, monkeypatch):
    monkeypatch.setattr(verdict, constant, factor * getattr(verdict, constant))
    assert any(_differs(*case) for case in VERDICTS)


@pytest.mark.parametrize("moved", [(0.095, 0.3), (0.105, 0.3), (0.1, 0.285), (0.1, 0.315)])
def test_another_mass_that_may_be_left_out_is_caught(moved, monkeypatch):
    monkeypatch.setattr(verdict, "_MOVED", moved)
    assert any(_judged(changed).verdict != wanted for changed, wanted, _ in VERDICTS)


def test_the_threshold_of_khat_is_that_of_the_number_of_draws():
    """min(1 - 1 / log10 K, 0.7); the first is smaller up to 10 ** (10 / 3) = 2154 draws."""
    assert [khat_threshold(k) for k in (100, 2154, 2155, 10_000)] == [
        pytest.approx(0.5), pytest.approx(1 - 1 / math.log10(2154)), 0.7, 0.7
    ]  # fmt: skip
    assert khat_threshold(10) == khat_threshold(2) == 0.0
    assert khat_threshold(11) == pytest.approx(1 - 1 / math.log10(11))
    assert reliable(0.7, 0.7, 1e9)
    assert not reliable(0.7 + 1e-9, 0.7, 10.0 + 1e-9)
    assert reliable(-math.inf, 0.7, 1.0)
    assert not reliable(math.nan, 0.7, 1.0)


def _weighed(ess: float, *, usable: bool = True) -> WeightedDraws:
    nothing = cast(Any, None)
    khat, largest = (0.1, 1.0) if usable else (0.9, 50.0)
    return WeightedDraws(
        np.zeros((1, 1)), 1, np.ones(1), nothing, nothing, khat, khat, 0.7, largest, ess, 0.0
    )


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((103.0, True), (100.0, True), True),
        ((102.0, True), (100.0, True), False),  # 1.02 times as many may be chance
        ((100.0, True), (100.0, True), False),
        ((1.0, True), (1e4, False), True),
        ((1e4, False), (1.0, True), False),
        ((103.0, False), (100.0, False), True),
    ],
)
def test_of_two_guides_the_one_with_more_effective_draws_is_kept(first, second, wanted):
    assert more_even(*(_weighed(ess, usable=u) for ess, u in (first, second))) == wanted


@pytest.mark.parametrize(
    ("khat", "flagged"),
    [(0.5, False), (0.5 + 1e-9, True), (-math.inf, False), (math.inf, True), (math.nan, True)],
)
def test_the_evidence_is_unreliable_where_khat_is_not_known_to_be_small(khat, flagged, monkeypatch):
    """Of 100 draws, whose threshold is one half."""
    monkeypatch.setattr(verdict, "_HARMLESS", 0.0)  # no draw of so good a guide weighs much
    module = sys.modules["taut.inference.posterior.weighted_draws"]
    summarize = module.summarize
    monkeypatch.setattr(
        module, "summarize", lambda log_w: summarize(log_w)._replace(khat=np.array([khat]))
    )
    posterior = taut.infer(
        lambda a: -0.5 * a**2, data={}, support={"a": "real"}, guide="laplace", num_draws=100,
        refine="none",
    )  # fmt: skip
    assert posterior.khat_threshold == pytest.approx(0.5)
    flags = {name: estimate.flags for name, estimate in posterior.estimates.items()}
    assert ("unreliable" in flags.pop("log_evidence")) == flagged
    assert not any("unreliable" in others for others in flags.values())


@pytest.mark.parametrize(
    ("dim", "family", "number"),
    [(2, "full-rank", 0), (150, "full-rank", 0), (151, "low-rank", 8)],
)
def test_the_guide_follows_from_the_number_of_coordinates(dim, family, number):
    found = choose_guide(None, dim, subsampled=False)
    assert (found.family, found.number) == (family, number)
    assert choose_guide(None, dim, subsampled=True).family == "structured"


# ---- sample averages stop --------------------------------------------------------------------------


class Scripted(AbstractSampleAverageFamily):
    """A family whose replicates gain what they are told to."""

    def __init__(self, gains: list[float], *, converged: bool = True):
        self.gains, self.converged, self.asked = iter(gains), converged, 0

    def draws(self, generator: np.random.Generator, size: int) -> Any:
        return size

    def num_draws(self, size: int) -> int:
        return size

    def value(self, guide: Any, draws: Any) -> float:
        return 0.0

    def maximise(self, guide: Any, draws: Any, *, tolerance: float) -> Optimum:
        self.asked += 1
        if self.asked == 1:  # the round's own maximum; the replicates start from it
            return Optimum(guide, 0.0, 0.0, 1, self.converged)
        return Optimum(guide, 0.0, next(self.gains), 1, True)

    def distance(self, first: Any, second: Any) -> float:
        return 0.0

    def sample(self, guide: Any, generator: np.random.Generator, count: int) -> Any:
        raise NotImplementedError

    def log_q(self, guide: Any, z: Any) -> Any:
        raise NotImplementedError

    def moments(self, guide: Any) -> Any:
        raise NotImplementedError

    def guide(self, guide: Any) -> Any:
        raise NotImplementedError


def _settled(gains: list[float], precision: float, *, converged: bool = True) -> bool:
    family = Scripted(gains, converged=converged)
    generator = np.random.default_rng(0)
    fit = sample_average_approximation(
        family, "q", generator, precision_nats=precision, max_draws=1
    )
    assert len(fit.rounds) == 1
    return fit.converged


def _upper(gains: list[float]) -> float:
    """The upper end of a one-sided 95 % interval for the mean of normal gains."""
    mean, error = np.mean(gains), stats.sem(gains)
    return float(mean if error == 0 else stats.t.ppf(0.95, len(gains) - 1, mean, error))


GAINS = [[0.05] * 4, [0.0, 0.02, 0.03, 0.05], [0.0, 0.0, 0.0, 0.2], [0.3, 0.31, 0.29, 0.3]]


@pytest.mark.parametrize("gains", GAINS)
def test_sample_averages_stop_at_the_gain_with_its_error(gains):
    upper = _upper(gains)
    assert _settled(gains, upper * 1.0001)
    assert not _settled(gains, upper * 0.9999)
    assert not _settled(gains, upper * 1.0001, converged=False)


def test_a_tie_goes_on():
    assert not _settled([0.25] * 4, 0.25)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.975])
def test_a_rule_without_the_error_is_caught(quantile, monkeypatch):
    monkeypatch.setattr(sample_average, "_QUANTILE", quantile)
    with pytest.raises(AssertionError):
        test_sample_averages_stop_at_the_gain_with_its_error(GAINS[1])


# ---- stages of stochastic ascent stop --------------------------------------------------------------

NOISE = np.asarray([-1.5, -0.5, 0.5, 1.5])  # of the replicates of a gain, in units of its error
NOISE = NOISE / stats.sem(NOISE)
T = float(stats.t.ppf(0.95, 3))


def _stages(gains: list[tuple[float, float]], precision: float = 0.1) -> tuple[Any, list[float]]:
    """Stages whose gains have these means and errors; the fit, and the step size of each."""
    values, sizes = [np.zeros(4)], []
    best = 0
    for gain, error in gains:
        values.append(values[best] + gain + error * NOISE)
        best = len(values) - 1 if gain > 0 else best

    def advance(number: int, size: float) -> int:
        sizes.append(size)
        return number + 1

    fit = averaged_sgd(
        advance, lambda guide: values[guide], start=0, step_size=1.0, precision_nats=precision,
        num_draws=4, clock=lambda: 0.0,
    )  # fmt: skip
    return fit, sizes


BIG, SMALL, TINY = (0.5, 0.0), (0.05, 0.0), (0.001, 0.0)
UNSURE = (0.05, 0.05 / T * 1.01)  # with its error above the precision, and not above zero
SURE = (0.05, 0.05 / T * 0.99)
NOISY = (0.001, 0.02)  # far below the precision, and what it promises is not
# Gains of the stages -> how many of them are run, whether they settle, and their step sizes.
STAGES: list[tuple[list[tuple[float, float]], int, bool, list[float]]] = [
    ([TINY, TINY], 2, True, [1.0, 0.5]),
    ([BIG, BIG, TINY, TINY], 4, True, [1.0, 1.0, 1.0, 0.5]),
    ([TINY, BIG, TINY, TINY], 4, True, [1.0, 0.5, 0.5, 0.25]),
    ([SURE, TINY], 2, True, [1.0, 0.5]),
    ([UNSURE, TINY, TINY], 3, True, [1.0, 0.5, 0.25]),
    ([TINY, UNSURE, TINY, TINY], 4, True, [1.0, 0.5, 0.25, 0.125]),
    ([(-0.5, 0.0), TINY], 2, True, [1.0, 0.5]),  # a loss is less than the precision, too
    ([(0.1, 0.0), TINY, TINY], 3, True, [1.0, 1.0, 0.5]),  # a tie goes on
    ([SMALL, SMALL, TINY], 3, True, [1.0, 0.5, 0.5]),  # small gains that do not fall promise more
    ([TINY, NOISY, TINY], 3, True, [1.0, 0.5, 0.25]),
    ([BIG] * 8 + [TINY] * 4, 12, True, [1.0] * 9 + [0.5] * 3),  # half as long as the climb
]


@pytest.mark.parametrize(("gains", "count", "settles", "sizes"), STAGES)
def test_stages_stop_when_they_and_their_windows_promise_less_than_the_precision(
    gains, count, settles, sizes
):
    fit, taken = _stages(gains)
    assert len(fit.rounds) == count == len(taken)
    assert fit.converged == settles
    assert taken == sizes


def test_a_stage_that_loses_is_not_kept():
    fit, _ = _stages([BIG, (-1.0, 0.0), TINY])
    assert fit.guide == 3
    fit, _ = _stages([BIG, (-1.0, 0.0), (-1.0, 0.0)])
    assert (fit.guide, fit.converged) == (1, True)
    assert fit.elbo.value == 0.5


@pytest.mark.parametrize(
    ("constant", "value"), [("_QUANTILE", 0.6), ("_MOST_STAGES", 1), ("_LEAST_SIZE", 0.6)]
)
def test_stages_that_stop_by_another_rule_are_caught(constant, value, monkeypatch):
    module = sys.modules[averaged_sgd.__module__]  # the package has a function of its name
    monkeypatch.setattr(module, constant, value)

    def differs(case: Any) -> bool:
        try:
            fit, taken = _stages(case[0])
        except IndexError:  # it asks for more stages than the rule allows
            return True
        return (len(fit.rounds), fit.converged, taken) != case[1:]

    assert any(differs(case) for case in STAGES)
