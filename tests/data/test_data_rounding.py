"""What float32 loses of a column: nothing that matters, or it is refused, or said."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from taut.data import as_written, load_data, load_rows

N = 60
RNG = np.random.default_rng(0)
X = RNG.standard_normal(N)
NAMES = ["a", "b"] * (N // 2)
FAR = 1e9 + X


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (FAR, {}),
        (FAR, {"kind": {"far": "positive"}}),
        (np.where(np.arange(N) % 7 == 0, np.nan, FAR), {}),
        (1e-60 * X, {}),
    ],
    ids=["real", "positive", "with holes", "tiny"],
)
def test_a_column_that_float32_blurs_is_refused_beside_columns_of_other_kinds(
    refusal, values, options
):
    frame = pl.DataFrame({"far": values, "name": NAMES}, nan_to_null=True)
    message = refusal(load_data, frame, **options)
    assert message.startswith(
        "data frame, column 'far': expected values that float32 tells apart, got a spread of "
    )
    assert message.endswith('Try precision="float64", or subtracting an offset.')
    data = load_data(frame, dtype="float64", **options)
    written = as_written(data.train[:].x, data.schema.kinds or ())[0]
    known = [None if np.isnan(v) else float(v) for v in values[data.train[:].index]]
    assert written == known


def test_a_spread_that_float32_resolves_stays(refusal):
    wide = 1e9 + 1e6 * X
    frame = pl.DataFrame({"wide": wide, "name": NAMES})
    data = load_data(frame)
    near = pl.DataFrame({"wide": [1e9, 1e9 + 1.0], "name": ["a", "b"]})
    np.testing.assert_array_equal(load_rows(near, data.schema).x[:, 0], np.float32(1e9))
    positive = load_data(pl.DataFrame({"p": np.exp(X), "name": NAMES}), kind={"p": "positive"})
    lost = pl.DataFrame({"p": [1e-60], "name": ["a"]})
    message = refusal(load_rows, lost, positive.schema)
    assert "row 0, column 'p': expected a number that float32 holds, got" in message


@pytest.mark.parametrize("role", ["target", "label"])
def test_labels_that_float32_blurs_are_refused(role, refusal):
    frame = pl.DataFrame({"x": X, "y": FAR})
    chosen: Any = {role: "y"}
    message = refusal(load_data, frame, **chosen)
    assert message.startswith(
        f"data frame, {role} 'y': expected values that float32 tells apart, got a spread of "
    )
    data = load_data(frame, **chosen, dtype="float64")
    np.testing.assert_array_equal(data.train[:].label, FAR[data.train[:].index])
    near = load_data(pl.DataFrame({"x": X, "y": X}), **chosen)
    huge = pl.DataFrame({"x": [0.0], "y": [1e60]})
    message = refusal(load_rows, huge, near.schema)
    assert f"{role} 'y': expected a number that float32 holds, got 1e+60" in message


def _moments(*, years: int, fraction: bool) -> list[datetime]:
    """Dates with a time over some years, half of them within seconds of midnight."""
    start = datetime(1990, 3, 5, 13, 37, 21, tzinfo=UTC)
    days = [timedelta(days=int(i)) for i in np.linspace(1, years * 365, N - 1)]
    midnight = start.replace(hour=0, minute=0, second=0)
    seconds = RNG.integers(-9, 10, N - 1) * np.where(np.arange(N - 1) % 2, 1, 977)
    near = [midnight + d + timedelta(seconds=int(s)) for d, s in zip(days, seconds, strict=True)]
    part = timedelta(microseconds=500_001) if fraction else timedelta()
    return [start + part, *(date + part for date in near)]


@pytest.mark.parametrize("form", ["text", "dates"])
@pytest.mark.parametrize("years", [3, 90])
@pytest.mark.parametrize("fraction", [False, True], ids=["whole", "with parts"])
def test_dates_that_float32_cannot_hold_keep_their_day_and_say_so(form, years, fraction):
    moments = [moment.replace(tzinfo=None) for moment in _moments(years=years, fraction=fraction)]
    written = "%Y-%m-%d %H:%M:%S" + (".%f" if fraction else "")
    cells = [m.strftime(written) for m in moments] if form == "text" else moments
    frame = pl.DataFrame({"x": X, "when": cells})
    data, exact = load_data(frame), load_data(frame, dtype="float64")
    for rows in (data.train[:], data.test, load_rows(frame, data.schema)):
        found = as_written(rows.x, data.schema.kinds or ())[1]
        for text, number in zip(found, rows.index, strict=True):
            away = datetime.strptime(text, written) - moments[number]
            assert text[:10] == f"{moments[number]:%Y-%m-%d}"
            assert abs(away).total_seconds() <= np.spacing(np.float32(years * 366 * 86400))
    assert any("'when'" in note and "precision float64" in note for note in data.notes)
    assert not any("precision float64" in note for note in exact.notes)
    found = as_written(exact.train[:].x, exact.schema.kinds or ())[1]
    assert found == [moments[i].strftime(written) for i in exact.train[:].index]
    assert data.checksum == exact.checksum
    assert load_data(frame.with_columns(x=pl.col("x") + 1)).checksum != data.checksum


def test_dates_that_float32_holds_are_not_talked_of():
    for step in (timedelta(days=3), timedelta(seconds=7)):
        dates = [datetime(2020, 1, 1, tzinfo=UTC) + i * step for i in range(N)]
        data = load_data(pl.DataFrame({"x": X, "when": dates}))
        assert not any("precision" in note for note in data.notes)


@pytest.mark.parametrize(("unit", "years"), [("minutes", 90), ("seconds", 3)])
def test_a_note_says_in_seconds_how_near_its_times_are(unit, years):
    """In whatever unit they are counted; by rounding to the nearest half of it is lost at most."""
    step, start = timedelta(**{unit: 1}), datetime(1930, 3, 5)
    last = timedelta(days=365 * years) // step
    counts = [*np.linspace(0, last, N - 16, dtype=int).tolist(), *range(last + 1, last + 17)]
    moments = [start + count * step for count in counts]
    data = load_data(pl.DataFrame({"x": X, "when": moments}))
    kinds = data.schema.kinds or ()
    assert [kind.unit for kind in kinds][1:] == [unit]
    (note,) = (note for note in data.notes if "held to within" in note)
    said = re.search(r"within (\S+) seconds", note)
    away = [
        abs(datetime.fromisoformat(text) - moments[number]).total_seconds()
        for rows in (data.train[:], data.validation, data.test)
        for text, number in zip(as_written(rows.x, kinds)[1], rows.index, strict=True)
    ]  # fmt: skip
    assert said is not None
    assert max(away) <= float(said[1]) <= 2 * max(away)
