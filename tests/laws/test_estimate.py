"""`Estimate`: how it prints, travels and subtracts, and whether its two errors are what they say."""

import json
import math
import re

import numpy as np
import pytest
import scipy.stats
from unchecked import types_unchecked

from taut.core import Estimate, InputError, paired_difference

NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")


# Printing.


def test_it_prints_as_documented():
    estimate = Estimate(-88.712, "lower", mc_error=0.0204, data_error=0.2397, count=1000)
    text = "-88.71 ± 0.02 (draws) ± 0.24 (rows) nats per row, lower bound"
    assert str(estimate) == text


def test_an_error_of_rounding_size_does_not_widen_the_number():
    estimate = Estimate(-4.638377, "lower", mc_error=1.3e-9, data_error=0.2972, count=160)
    text = "-4.6 ± 1e-09 (draws) ± 0.3 (rows) nats per row, lower bound"
    assert str(estimate) == text


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (
            Estimate(-88.71, "upper", mc_error=0.02, data_error=0.24, count=10),
            "# ± # (draws) ± # (rows) nats per row, upper bound",
        ),
        (Estimate(-3.25, "exact", data_error=0.5, count=4), "# ± # (rows) nats per row, exact"),
        (Estimate(1234.5, "unbiased", mc_error=37.0), "# ± # (draws) nats per row, unbiased"),
        (Estimate(0.5, "exact", unit="nats"), "# nats, exact"),
        (
            Estimate(-1.0, "lower", mc_error=math.nan, data_error=0.1, count=3),
            "# ± unknown (draws) ± # (rows) nats per row, lower bound",
        ),
        (
            Estimate(-math.inf, "lower", mc_error=math.nan, count=3),
            "-inf ± unknown (draws) ± unknown (rows) nats per row, lower bound",
        ),
        (
            Estimate(-1.5, "none", mc_error=0.1, flags=frozenset({"unreliable", "subsampled"})),
            "# ± unknown (draws) nats per row, neither bound, subsampled, unreliable",
        ),
    ],
)
def test_it_names_errors_unit_side_and_flags(estimate, words):
    assert NUMBER.sub("#", str(estimate)) == words


@pytest.mark.parametrize("mc_error", [3e-5, 0.0042, 0.019, 0.7, 45.0])
@pytest.mark.parametrize("data_error", [0.00098, 0.2, 12.0])
def test_all_numbers_have_the_digits_of_the_smallest_error(mc_error, data_error):
    estimate = Estimate(-1234.56789, "lower", mc_error=mc_error, data_error=data_error, count=9)
    found = list(NUMBER.finditer(str(estimate)))
    assert len({len(match[1] or "") for match in found}) == 1
    digits = len(found[0][1] or "")
    value, *errors = (float(match[0]) for match in found)
    assert abs(value - estimate.value) <= 0.5 * 10.0**-digits
    for printed, error in zip(errors, (mc_error, data_error), strict=True):
        assert printed > 0
        assert abs(printed - error) <= 0.5 * 10.0**-digits
        assert abs(printed - error) <= 0.5 * error  # never a zero, nor wrong in its first digit


def test_where_the_error_is_not_known_no_file_and_no_difference_holds_a_small_one():
    """Files of older versions held one."""
    estimate = Estimate(-80.0, "lower", mc_error=0.05, count=9, flags=frozenset({"unreliable"}))
    assert math.isnan(estimate.mc_error)
    assert estimate.to_dict()["mc_error"] == "nan"
    assert math.isnan(Estimate.from_dict({**estimate.to_dict(), "mc_error": 0.05}).mc_error)
    assert math.isnan(estimate.scaled(2.0, unit="bits").mc_error)
    rows = Estimate.from_rows([1.0, 2.0], side="lower", mc_errors=0.1, flags=["unreliable"])
    assert math.isnan(rows.mc_error)
    other = Estimate.from_rows([1.0, 3.0], side="exact")
    assert math.isnan(paired_difference(rows, other).mc_error)


# Rows.


def test_rows_become_a_mean_with_two_errors():
    values, noise = np.array([1.0, 4.0, 2.5, 0.5]), np.array([0.1, 0.4, 0.2, 0.3])
    estimate = Estimate.from_rows(values, side="lower", mc_errors=noise, index=[7, 8, 9, 4])
    assert (estimate.value, estimate.side, estimate.count) == (2.0, "lower", 4)
    assert estimate.mc_error == pytest.approx(math.sqrt(0.01 + 0.16 + 0.04 + 0.09) / 4)
    assert estimate.data_error == pytest.approx(math.sqrt((values.var(ddof=1) - 0.075) / 4))
    np.testing.assert_array_equal(estimate.values, values)
    np.testing.assert_array_equal(estimate.index, [7, 8, 9, 4])


def test_draws_that_explain_all_spread_leave_no_error_of_rows():
    assert Estimate.from_rows([1.0, 1.1, 0.9], side="lower", mc_errors=2.0).data_error == 0.0


def test_one_row_says_nothing_about_others():
    assert math.isnan(Estimate.from_rows([1.0], side="exact").data_error)


def test_a_row_of_no_density_takes_the_mean_with_it():
    estimate = Estimate.from_rows([-1.0, -np.inf], side="lower", mc_errors=[0.1, np.nan])
    assert estimate.value == -np.inf
    assert math.isnan(estimate.mc_error)
    assert math.isnan(estimate.data_error)


def test_no_rows_are_refused():
    with pytest.raises(InputError) as refusal:
        Estimate.from_rows([], side="exact")
    assert (
        str(refusal.value)
        == "values: expected at least one row, got none. Try a split that is not empty."
    )


def test_an_unknown_side_is_refused():
    with types_unchecked(), pytest.raises(InputError) as refusal:
        Estimate(0.0, "below")  # pyright: ignore[reportArgumentType]
    assert str(refusal.value) == (
        "side: expected a side in ('exact', 'unbiased', 'lower', 'upper', 'none'), got 'below'. "
        "Try one of these."
    )


# Other units, files.


@pytest.mark.parametrize(
    ("side", "factor", "expected"),
    [
        ("lower", 2.0, "lower"),
        ("lower", -2.0, "upper"),
        ("upper", -0.5, "lower"),
        ("unbiased", -1.0, "unbiased"),
        ("exact", -1.0, "exact"),
        ("none", -1.0, "none"),
    ],
)
def test_a_negative_factor_turns_the_bound_around(side, factor, expected):
    rows = np.array([1.0, 3.0, 5.0])
    estimate = Estimate.from_rows(
        rows, side=side, mc_errors=0.3, index=[3, 1, 2], flags=["subsampled"]
    )
    scaled = estimate.scaled(factor, unit="bits per dimension")
    again = Estimate.from_rows(factor * rows, side=expected, mc_errors=0.3 * abs(factor))
    assert (scaled.side, scaled.unit) == (expected, "bits per dimension")
    assert scaled.value == pytest.approx(again.value)
    assert scaled.mc_error == pytest.approx(again.mc_error)
    assert scaled.data_error == pytest.approx(again.data_error)
    assert (scaled.count, scaled.flags) == (3, frozenset({"subsampled"}))
    np.testing.assert_allclose(np.asarray(scaled.values), factor * rows)
    np.testing.assert_array_equal(scaled.index, [3, 1, 2])
    assert estimate.values is not None
    bare = Estimate(1.0, "lower").scaled(factor, unit="bits")
    assert bare.values is None


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(-88.7, "lower", mc_error=0.02, data_error=0.24, count=100),
        Estimate(-math.inf, "upper", mc_error=math.nan, data_error=math.nan, count=2),
        Estimate(math.inf, "none", mc_error=math.inf, unit="nats", flags=frozenset({"b", "a"})),
    ],
)
def test_json_holds_it_whole(estimate):
    content = json.loads(json.dumps(estimate.to_dict(), allow_nan=False))
    again = Estimate.from_dict(content, values=np.arange(2.0), index=np.arange(2))
    for name in ("value", "side", "mc_error", "data_error", "count", "unit", "flags"):
        np.testing.assert_equal(getattr(again, name), getattr(estimate, name))
    assert str(again) == str(estimate)
    np.testing.assert_array_equal(again.values, [0.0, 1.0])


# Differences.


def test_a_difference_is_taken_row_by_row():
    first = Estimate.from_rows(
        [1.0, 2.0, 4.0], side="exact", mc_errors=0.3, index=[2, 5, 1], flags=["subsampled"]
    )
    second = Estimate.from_rows([0.5, 1.0, 3.5], side="unbiased", mc_errors=0.4)
    difference = paired_difference(first, second)
    np.testing.assert_allclose(np.asarray(difference.values), [0.5, 1.0, 0.5])
    assert difference.value == pytest.approx(2.0 / 3.0)
    assert difference.side == "unbiased"
    assert difference.mc_error == pytest.approx(0.5 / math.sqrt(3))
    assert difference.data_error == 0.0  # the draws explain more than the spread of 1/12
    assert difference.flags == frozenset({"subsampled"})
    np.testing.assert_array_equal(difference.index, [2, 5, 1])


@pytest.mark.parametrize(
    ("first", "second", "side"),
    [
        ("exact", "exact", "exact"),
        ("unbiased", "exact", "unbiased"),
        ("unbiased", "unbiased", "unbiased"),
        ("lower", "lower", "none"),
        ("exact", "lower", "none"),
        ("lower", "upper", "none"),
    ],
)
def test_the_difference_of_two_bounds_bounds_nothing(first, second, side):
    rows = [1.0, 2.0]
    one, other = (Estimate.from_rows(rows, side=s) for s in (first, second))
    assert paired_difference(one, other).side == side


def test_what_cannot_be_compared_is_refused():
    rows = Estimate.from_rows([1.0, 2.0], side="exact", index=[0, 1])
    with pytest.raises(InputError) as refusal:
        paired_difference(rows, Estimate(1.0, "exact", unit="nats"))
    assert str(refusal.value) == (
        "compare: expected two estimates with per-row values in one unit, got nats per row and nats, "
        "values kept and missing. Try estimates of the same quantity, made by taut."
    )
    for other in (
        Estimate.from_rows([1.0, 2.0, 3.0], side="exact"),
        Estimate.from_rows([1.0, 2.0], side="exact", index=[0, 2]),
    ):
        with pytest.raises(InputError) as refusal:
            paired_difference(rows, other)
        assert str(refusal.value) == (
            f"compare: expected the same rows on both sides, got 2 and {other.count} rows that "
            "differ. Try evaluating both on one split of one data set."
        )


# Coverage: simulated data sets whose population mean is known.

NUM_ROWS, NUM_DATA_SETS = 200, 2000


def covers(errors: np.ndarray, standard_errors: np.ndarray, level: float) -> bool:
    """Whether intervals of a nominal level hit as often as they say, within five standard errors."""
    half_width = scipy.stats.norm.ppf(0.5 + level / 2)
    hits = np.mean(np.abs(errors) <= half_width * standard_errors)
    return bool(abs(hits - level) < 5 * math.sqrt(level * (1 - level) / errors.size))


@pytest.fixture(scope="module")
def simulated() -> dict[str, np.ndarray]:
    """Means and errors of many data sets: rows spread by 1.5, draws by up to 3, about a mean of -90."""
    random = np.random.default_rng(0)
    results = []
    for _ in range(NUM_DATA_SETS):
        rows = random.normal(-90.0, 1.5, NUM_ROWS)
        noise = random.uniform(0.2, 3.0, NUM_ROWS)
        observed = rows + noise * random.normal(size=NUM_ROWS)
        estimate = Estimate.from_rows(observed, side="unbiased", mc_errors=noise)
        results.append((estimate.value, rows.mean(), estimate.mc_error, estimate.data_error))
    value, row_mean, mc_error, data_error = np.array(results).T
    return {
        "draws": value - row_mean,
        "rows": row_mean + 90.0,
        "both": value + 90.0,
        "mc_error": mc_error,
        "data_error": data_error,
        "total_error": np.hypot(mc_error, data_error),
    }


@pytest.mark.parametrize("level", [0.5, 0.6827, 0.95])
@pytest.mark.parametrize(
    ("what", "error"),
    [("draws", "mc_error"), ("rows", "data_error"), ("both", "total_error")],
)
def test_errors_cover_at_their_nominal_rate(what, error, level, simulated):
    assert covers(simulated[what], simulated[error], level)
    assert not covers(simulated[what], 2.0 * simulated[error], level)
    assert not covers(simulated[what], 0.5 * simulated[error], level)


def test_a_paired_error_covers_and_is_smaller_than_either():
    """Two fits with a gap of 0.3 nats on rows that are easy or hard for both."""
    random = np.random.default_rng(1)
    errors, paired, unpaired = [], [], []
    for _ in range(NUM_DATA_SETS):
        rows = random.normal(-90.0, 5.0, NUM_ROWS)
        fits = []
        for gap in (0.3, 0.0):
            truth = rows + gap + random.normal(0.0, 0.5, NUM_ROWS)
            observed = truth + random.normal(0.0, 0.4, NUM_ROWS)
            fits.append(Estimate.from_rows(observed, side="unbiased", mc_errors=0.4))
        difference = paired_difference(*fits)
        errors.append(difference.value - 0.3)
        paired.append(math.hypot(difference.mc_error, difference.data_error))
        unpaired.append(math.hypot(*(f.data_error for f in fits), *(f.mc_error for f in fits)))
    errors, paired, unpaired = map(np.array, (errors, paired, unpaired))
    assert covers(errors, paired, 0.6827)
    assert covers(errors, paired, 0.95)
    assert not covers(errors, unpaired, 0.95)
    assert np.max(paired) < np.min(unpaired)
