"""Data frames and Parquet files."""

import datetime
import os

import numpy as np
import polars as pl
import pytest

from taut.core import InputError
from taut.data import load_data
from taut.data.sources import Request, read_source
from taut.data.sources.panics import without_panics

FRAME = pl.DataFrame(
    {
        "a": [1, 2, 3, None],
        "b": [0.5, -1.0, float("nan"), 2.0],
        "c": [True, False, True, True],
        "kind": ["x", "y", "x", None],
        "number": [4, 5, 6, 7],
    }
)


@pytest.fixture(params=["frame", "parquet"])
def read(request, tmp_path):
    def call(frame, **wishes):
        source = frame
        if request.param == "parquet":
            source = str(tmp_path / "t.parquet")
            frame.write_parquet(source)
        (rows,) = read_source(source, Request(**wishes))
        return rows

    call.where = "t.parquet" if request.param == "parquet" else "data frame"
    return call


def test_columns_nulls_and_labels(read):
    rows = read(FRAME, label="kind", drop=("number",))
    assert rows.columns == ("a", "b", "c")
    np.testing.assert_array_equal(
        rows.values, [[1, 0.5, 1], [2, -1, 0], [3, np.nan, 1], [np.nan, 2, 1]]
    )
    assert rows.labels.tolist() == ["x", "y", "x", ""]


def test_whole_numbers_stay_whole(read):
    rows = read(FRAME.select("c", "number"))
    assert rows.values.dtype == np.int64
    np.testing.assert_array_equal(rows.values, [[1, 4], [0, 5], [1, 6], [1, 7]])


@pytest.mark.parametrize(("label", "kind"), [("number", "i"), ("a", "f"), ("c", "i")])
def test_kinds_of_labels(read, label, kind):
    assert read(FRAME.select("b", label), label=label).labels.dtype.kind == kind


ANOTHER = "another label"
COLUMN = f'target_as="column" if it is a target, or {ANOTHER}'


@pytest.mark.parametrize(
    ("cell", "got", "remedy"),
    [
        (datetime.date(2020, 1, 1), "dates", COLUMN),
        (datetime.datetime(2020, 1, 1, 9), "dates", COLUMN),
        (datetime.time(12, 30), "Time", ANOTHER),
    ],
)
def test_label_of_another_kind(read, refusal, cell, got, remedy):
    """A date is what a column may be, of which a target may be one."""
    frame = pl.DataFrame({"a": [1], "day": [cell]})
    assert refusal(read, frame, label="day") == (
        f"{read.where}, label 'day': expected numbers or text, got {got}. Try {remedy}."
    )


def test_columns_that_are_no_numbers_text_or_dates(read, refusal):
    frame = FRAME.select("a", "kind", day=pl.lit(datetime.time(12, 30)))
    assert refusal(read, frame) == (
        f"{read.where}: expected columns of numbers, text or dates, got none of these in 'day'. "
        'Try drop=("day",).'
    )


def test_many_names_are_cut_short(read, refusal):
    frame = pl.DataFrame({f"c{i}": [1] for i in range(12)})
    assert "'c7' and 4 more, got 'x'. " in refusal(read, frame, drop=("x",))


def test_frame_without_rows(read, refusal):
    assert refusal(read, FRAME.select("a")[:0]) == (
        f"{read.where}: expected at least one row, got none. Try another table."
    )


def test_frame_on_another_engine_comes_out_the_same():
    import narwhals as nw

    data = load_data(nw.from_native(pl.DataFrame({"a": np.linspace(0, 1, 50), "b": range(50)})))
    assert data.schema.columns == ("a", "b")
    assert data.source is None
    assert data.schema.name == "data"


def test_lazy_frame(refusal):
    assert refusal(read_source, FRAME.lazy(), Request()) == (
        "data frame: expected a data frame in memory, got a LazyFrame. Try collecting it first."
    )


@pytest.mark.parametrize(("share", "end"), [(0.5, "ends"), (0.0, "begins")])
def test_parquet_that_is_cut_or_none(tmp_path, refusal, share, end):
    path = tmp_path / "t.parquet"
    FRAME.write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)] or b"a,b,c\n")
    message = refusal(read_source, str(path), Request())
    assert f"'PAR1', got one that {end} with b'" in message


def test_parquet_that_is_damaged_inside(tmp_path, refusal):
    path = tmp_path / "t.parquet"
    FRAME.write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) - 8) + content[-4:])
    assert "t.parquet: expected a whole Parquet file, got one that is damaged" in refusal(
        read_source, str(path), Request()
    )


def test_parquet_with_a_hole_anywhere(tmp_path):
    """Polars panics at some, which is no `Exception`."""
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": np.linspace(0, 1, 40), "b": np.arange(40) % 3}).write_parquet(path)
    content, refused = path.read_bytes(), 0
    for start in range(4, len(content) - 12, 8):
        path.write_bytes(content[:start] + bytes(8) + content[start + 8 :])
        try:
            read_source(str(path), Request())
        except InputError:
            refused += 1
    assert refused > 10


def test_a_panic_of_the_reader_is_the_one_line_of_a_damaged_file(tmp_path, capfd):
    path, rng = tmp_path / "t.parquet", np.random.default_rng(1)
    pl.DataFrame({"a": rng.normal(size=40), "b": rng.integers(0, 3, 40)}).write_parquet(path)
    whole, refused = path.read_bytes(), []
    for place in range(4, len(whole) - 16, 4):
        path.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
        try:
            read_source(str(path), Request())
        except InputError as error:
            refused.append(str(error))
    assert any("Panic" in line or "assertion" in line for line in refused)
    assert capfd.readouterr().err == ""


def test_only_a_panic_is_kept_off_standard_error(capfd):
    for printed in (
        b"a warning\n\nthread 'reader' (7) panicked at mod.rs:9:1:\nno page\n",
        b"another\n",
    ):
        with without_panics():
            os.write(2, printed)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "a warning\nanother\nafter\n"
