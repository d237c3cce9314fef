"""Numbers that float64 does not hold are refused by every door: none is taken for another one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from taut.core import InputError
from taut.data import load_data, load_rows, survey

N = 60
A = np.random.default_rng(0).normal(size=N)
DOORS = ("array", "npy", "streamed", "polars", "pandas", "csv", "parquet")


def through(door: str, frame: pl.DataFrame, folder: Path) -> Any:
    """What `load_data` is given, and how rows are held."""
    if door in ("array", "npy", "streamed"):
        rows = np.ascontiguousarray(frame.drop("a").to_numpy())
        np.save(folder / "t.npy", rows)
        return rows if door == "array" else folder / "t.npy"
    if door in ("csv", "parquet"):
        getattr(frame, f"write_{door}")(folder / f"t.{door}")
        return folder / f"t.{door}"
    return pd.DataFrame(frame.to_dict(as_series=False)) if door == "pandas" else frame


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("first", [2**53 + 1, -(2**60), 2**63, "mixed"])
def test_whole_numbers_that_would_be_rounded_together_are_refused(tmp_path, door, first):
    """Also beside real numbers, with a hole among them, and where no signed type holds them."""
    begin = 2**60 if first == "mixed" else first
    dtype = pl.UInt64 if begin == 2**63 else pl.Int64
    near = pl.Series([begin + i * i % 17 for i in range(N)], dtype=dtype)
    frame = pl.DataFrame({"a": A, "id": near, "n": pl.Series(np.arange(N) % 5, dtype=dtype)})
    if first == "mixed" and door in ("polars", "csv", "parquet"):
        frame = frame.with_columns(id=pl.when(pl.int_range(pl.len()) != 7).then("id"))
    source, stream = through(door, frame, tmp_path), "yes" if door == "streamed" else "no"
    with pytest.raises(
        InputError, match=r"whole numbers that float64 tells apart.*a spread of 5\.6"
    ):
        load_data(source, stream=stream, dtype="float64")


@pytest.mark.parametrize("door", DOORS)
def test_whole_numbers_far_apart_are_read(tmp_path, door):
    ids = np.random.default_rng(1).integers(-(2**62), 2**62, N)
    frame = pl.DataFrame({"a": A, "id": ids, "n": np.arange(N) % 5})
    source, stream = through(door, frame, tmp_path), "yes" if door == "streamed" else "no"
    data = load_data(source, stream=stream, support="real", dtype="float64")
    place = data.schema.size - 2
    np.testing.assert_array_equal(data.test.x[:, place], ids[data.test.index].astype(float))


@pytest.mark.parametrize("door", DOORS)
def test_a_constant_beyond_what_is_exact_is_a_constant(tmp_path, door):
    frame = pl.DataFrame({"a": A, "id": [2**60 + 1] * N, "n": np.arange(N) % 5})
    source, stream = through(door, frame, tmp_path), "yes" if door == "streamed" else "no"
    schema = load_data(source, stream=stream, support="real", dtype="float64").schema
    assert schema.constants() == ((schema.size - 2, 2.0**60),)


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_parts_of_a_file_may_have_no_row_of_use(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(survey, "_PART_CELLS", 40)
    rows = np.arange(200 * 4).reshape(200, 4) % 13
    rows[:100] = -1
    np.save(tmp_path / "t.npy", rows.astype(dtype))
    data = load_data(tmp_path / "t.npy", stream="yes", missing="drop-rows", missing_codes=-1)
    used = [part.index for part in (data.train[:], data.validation, data.test)]
    np.testing.assert_array_equal(np.sort(np.concatenate(used)), np.arange(100, 200))


@pytest.mark.parametrize("door", ["polars", "csv", "parquet"])
@pytest.mark.parametrize("role", ["label", "target"])
def test_labels_that_would_be_one_are_refused(tmp_path, door, role):
    frame = pl.DataFrame({"a": A, "b": A[::-1], "id": [2**60, 2**60 + 1, 5] * (N // 3)})
    asked: Any = {role: "id"}
    with pytest.raises(InputError, match=r"tells apart.*got \d+ and \d+. Try labels that are text"):
        load_data(through(door, frame, tmp_path), **asked)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("door", "how"),
    [(door, "alike") for door in DOORS] + [(door, "auto") for door in DOORS[3:]],
)
def test_numbers_without_squares_are_refused_without_a_warning(tmp_path, door, how):
    frame = pl.DataFrame({"a": A, "b": np.where(np.arange(N) == 9, 1e300, A), "c": A})
    asked: Any = {"columns": how} if door != "streamed" else {"stream": "yes"}
    source = through(door, frame, tmp_path)
    with pytest.raises(InputError, match=r"numbers up to 1e\+150, whose squares.*got 1e\+300"):
        load_data(source, dtype="float64", **asked)
    known = load_data(source, dtype="float64", missing_codes=1e300, **asked)
    assert np.abs(known.train[:].x[~np.isnan(known.train[:].x)]).max() < 10
    with pytest.raises(InputError, match="whose squares"):
        load_rows(source, known.schema)


NUMBERING = {
    "rising": np.arange(N),
    "with gaps": np.arange(N) + np.arange(N) // 3,
    "in another order": np.random.default_rng(2).permutation(N),
}


@pytest.mark.parametrize("columns", ["alike", "auto"])
@pytest.mark.parametrize("order", NUMBERING)
@pytest.mark.parametrize("door", ["polars", "pandas", "csv", "parquet"])
def test_identifiers_beyond_what_is_exact_are_left_out_and_named(tmp_path, door, order, columns):
    for begin in (2**60, -(2**60)):
        frame = pl.DataFrame({"id": begin + NUMBERING[order], "a": A, "n": np.arange(N) % 5})
        data = load_data(through(door, frame, tmp_path), columns=columns, dtype="float64")
        assert data.schema.columns == ("a", "n")
        np.testing.assert_array_equal(data.test.x[:, 0], A[data.test.index])
        note = "column 'id' is left out: it numbers the rows, beyond 2^53"
        assert data.notes.count(note) == 1
        again = load_rows(through(door, frame, tmp_path), data.schema)
        np.testing.assert_array_equal(again.x[:, 0], A)


TELLING: dict[str, dict[str, Any]] = {
    "asked for by kind": {"kind": ["id=count"]},
    "the target": {"target": "id", "target_as": "column"},
    "the only column": {"drop": ("a",)},
}


@pytest.mark.parametrize("asked", TELLING)
@pytest.mark.parametrize("door", ["polars", "csv"])
def test_identifiers_that_are_asked_for_are_not_left_out(tmp_path, door, asked):
    frame = pl.DataFrame({"id": 2**60 + np.arange(N), "a": A})
    with pytest.raises(InputError, match="column 'id': expected whole numbers that float64 tells"):
        load_data(through(door, frame, tmp_path), **TELLING[asked])


@pytest.mark.parametrize("hole", [False, True])
def test_whole_numbers_beside_real_ones_on_disk_are_refused_as_in_memory(tmp_path, hole):
    frame = pl.DataFrame({"a": A, "id": 2**60 + np.arange(N) ** 2 % 17})
    if hole:
        frame = frame.with_columns(id=pl.when(pl.int_range(pl.len()) != 7).then("id"))
    frame.write_parquet(tmp_path / "t.parquet")
    for stream in ("yes", "no"):
        with pytest.raises(InputError, match="column 'id': expected whole numbers that float64"):
            load_data(tmp_path / "t.parquet", stream=stream, dtype="float64")
