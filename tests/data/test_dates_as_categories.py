"""Dates that are asked to be categories are names, whatever form a source has them in."""

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from taut.data import as_written, load_data, load_rows
from taut.errors import InputError

RNG = np.random.default_rng(0)
N = 60
DAYS = [date(2020, 1, day) for day in RNG.integers(1, 5, N)]
NAMES = tuple(f"2020-01-0{day}" for day in range(1, 5))
COLUMNS: dict[str, Any] = {
    "dates": DAYS,
    "times": [datetime(d.year, d.month, d.day) for d in DAYS],
    "written": [f"{d}" for d in DAYS],
}
LEVELS = f"{{kind = 'ordinal', levels = {list(NAMES)}}}"


def table(name: str) -> pl.DataFrame:
    return pl.DataFrame({"d": COLUMNS[name], "y": RNG.normal(size=N)})


@pytest.mark.parametrize("wish", ["categorical", LEVELS])
@pytest.mark.parametrize("name", COLUMNS)
def test_of_a_frame(name, wish):
    data = load_data(table(name), kind=[f"d={wish}"])
    assert data.schema.categories[0] == NAMES
    found = [load_rows(table(other), data.schema) for other in COLUMNS]
    for rows in found:
        assert as_written(rows.x, data.schema.kinds or ())[0] == [f"{d}" for d in DAYS]


def test_of_a_file(tmp_path):
    source = str(tmp_path / "t.csv")
    table("dates").write_csv(source)
    data = load_data(source, kind=["d=categorical"])
    assert data.schema.categories[0] == NAMES
    np.testing.assert_array_equal(
        load_rows(source, data.schema).x[:, 0], load_rows(table("dates"), data.schema).x[:, 0]
    )


def test_times_keep_their_hours_and_missing_ones_stay_missing():
    days = [None, datetime(2020, 1, 1), datetime(2020, 1, 1, 7), datetime(2020, 1, 2)] * 10
    frame = pl.DataFrame({"d": days, "y": RNG.normal(size=40)})
    data = load_data(frame, kind=["d=categorical"])
    assert data.schema.categories[0] == ("2020-01-01", "2020-01-01 07:00:00", "2020-01-02")
    found = as_written(load_rows(frame, data.schema).x, data.schema.kinds or ())[0]
    assert found[:4] == [None, *data.schema.categories[0]]


def test_another_date_and_levels_that_are_lacking_are_refused():
    data = load_data(table("dates"), kind=["d=categorical"])
    other = table("dates").with_columns(d=pl.lit(date(2021, 1, 1)))
    with pytest.raises(
        InputError, match="one of the 4 values that the fit has seen, got '2021-01-01'"
    ):
        load_rows(other, data.schema)
    with pytest.raises(InputError, match="expected the levels of an ordinal column"):
        load_data(table("dates"), kind=["d=ordinal"])


def test_a_target_of_a_few_dates_is_a_number_unless_categories_are_asked_for():
    frame = table("dates")
    data = load_data(frame, target="d", target_as="column")
    assert data.schema.classes is None
    assert load_rows(frame, data.schema).x.shape == (N, 2)
    named = load_data(frame, target="d", target_as="column", kind=["d=categorical"])
    assert named.schema.classes == NAMES
