"""A target that is a column is read in later rows as any column is: dates, units, codes, and none."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from taut.data import Data, load_data, load_rows
from taut.errors import InputError

RNG = np.random.default_rng(0)
N = 60
DAYS = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 12, 31), eager=True).sample(N, seed=0)
COLUMNS: dict[str, Any] = {
    "dates": DAYS,
    "times": DAYS.cast(pl.Datetime) + timedelta(hours=5),
    "written dates": DAYS.dt.strftime("%d.%m.%Y"),
    "money": pl.Series([f"${v:.2f}" for v in RNG.random(N) * 10]),
    "percent": pl.Series([f"{v:.1f} %" for v in RNG.random(N) * 10]),
    "words": pl.Series(RNG.choice(["high", "low", "middle"], N)),
    "truths": pl.Series(RNG.choice(["no", "yes"], N)),
    "bits": pl.Series(RNG.random(N) > 0.5),
    "counts": pl.Series(RNG.poisson(40.0, N)),
    "classes": pl.Series(RNG.choice([3, 5, 7], N)),
    "numbers": pl.Series(RNG.normal(size=N)),
}
ON_DISK = [name for name in COLUMNS if name != "times"]


def table(name: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"a": RNG.normal(size=N), "y": COLUMNS[name], "b": RNG.choice(["u", "v"], N)}
    )


def in_order(data: Data) -> np.ndarray:
    """The rows as they stand in their source."""
    parts = (data.train[:], data.validation[:], data.test[:])
    return np.concatenate([p.x for p in parts])[
        np.argsort(np.concatenate([p.index for p in parts]))
    ]


@pytest.mark.parametrize("name", COLUMNS)
def test_of_a_frame(name):
    frame = table(name)
    data = load_data(frame, target="y", target_as="column")
    wanted = in_order(data)
    np.testing.assert_array_equal(load_rows(frame, data.schema).x, wanted)
    np.testing.assert_array_equal(load_rows(frame[["b", "y", "a"]], data.schema).x, wanted)
    wanted[:, 1] = np.nan
    np.testing.assert_array_equal(load_rows(frame.drop("y"), data.schema).x, wanted)
    np.testing.assert_array_equal(load_rows(frame.with_columns(y=None), data.schema).x, wanted)


@pytest.mark.parametrize("name", ON_DISK)
def test_of_a_file(name, tmp_path):
    source, less = str(tmp_path / "all.csv"), str(tmp_path / "less.csv")
    frame = table(name)
    frame.write_csv(source)
    frame.drop("y").write_csv(less)
    data = load_data(source, target="y", target_as="column")
    wanted = in_order(data)
    np.testing.assert_array_equal(load_rows(source, data.schema).x, wanted)
    wanted[:, 1] = np.nan
    np.testing.assert_array_equal(load_rows(less, data.schema).x, wanted)


def test_of_a_file_without_names(tmp_path):
    whole, less = str(tmp_path / "whole.csv"), str(tmp_path / "less.csv")
    frame = table("numbers").drop("b")
    frame.write_csv(whole, include_header=False)
    frame.drop("y").write_csv(less, include_header=False)
    data = load_data(frame, target="y", target_as="column")
    wanted = in_order(data)
    np.testing.assert_allclose(load_rows(whole, data.schema).x, wanted)
    wanted[:, 1] = np.nan
    np.testing.assert_allclose(load_rows(less, data.schema).x, wanted)


def test_a_value_that_the_column_does_not_have_is_refused_as_in_any_column():
    data = load_data(table("money"), target="y", target_as="column")
    with pytest.raises(InputError, match="expected numbers in \\$, got those in €"):
        load_rows(table("money").with_columns(y=pl.lit("€3.20")), data.schema)
    data = load_data(table("words"), target="y", target_as="column")
    with pytest.raises(InputError, match="one of the 3 values that the fit has seen, got 'other'"):
        load_rows(table("words").with_columns(y=pl.lit("other")), data.schema)
