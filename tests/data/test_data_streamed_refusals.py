"""Files that cannot be streamed: one line each, with the place and what to try."""

import gzip
import shutil

import numpy as np
import polars as pl
import pytest

from taut.data import Gatherer, StreamedRows, load_data, load_rows
from taut.data import load_streamed as load_module
from taut.errors import InputError

ROWS = np.random.default_rng(0).normal(size=(500, 3))


def stream(path, **options):
    return load_data(path, stream="yes", **options)


def test_words_and_sources(tmp_path, refusal):
    assert refusal(load_data, "digits", stream="maybe") == (
        "stream: expected one of auto, yes, no, got 'maybe'. Try 'yes'."
    )
    for source in ("digits", "a.npy,b.npy,c.npy"):
        assert refusal(stream, source) == (
            "stream: expected one .npy or .parquet file, which rows can be streamed from, got "
            f'{source}. Try stream="no", or writing the rows into a .npy file.'
        )
    assert "got a ndarray" in refusal(stream, ROWS)
    assert "nothing of that name" in refusal(stream, tmp_path / "a.npy")
    assert "nothing of that name" in refusal(stream, tmp_path / "a.parquet")


def test_npy_files_that_are_no_rows_of_numbers(tmp_path, refusal):
    path = tmp_path / "a.npy"
    np.save(path, ROWS)
    path.write_bytes(path.read_bytes()[:-8])
    assert "a.npy: expected a whole .npy file, got one that is damaged or cut short" in refusal(
        stream, path
    )
    with gzip.open(path, "wb") as file:
        file.write(b"anything")
    assert "got one that gzip packed. Try unpacking it." in refusal(stream, path)
    np.save(path, np.asfortranarray(ROWS))
    assert refusal(stream, path) == (
        "a.npy: expected a .npy file of numbers in C order, row after row, got one in Fortran order "
        "of shape (500, 3). Try np.save(path, np.ascontiguousarray(rows))."
    )
    np.save(path, np.array([[{}]]), allow_pickle=True)
    assert "an array of Python objects, which only running code" in refusal(stream, path)
    np.save(path, np.zeros(9))
    assert "got rank 1, shape (9,)" in refusal(stream, path)
    np.save(path, ROWS)
    assert "no columns to drop" in refusal(stream, path, drop=("a",))
    assert "expected rows of 4 cells" in refusal(stream, path, image_shape=(2, 2))


def test_missing_cells_far_down_are_placed(tmp_path, refusal):
    x = ROWS.copy()
    x[[490, 491, 498], [1, 0, 2]] = np.nan
    np.save(tmp_path / "a.npy", x)
    assert refusal(stream, tmp_path / "a.npy", missing="refuse") == (
        "a.npy: expected a finite number in every cell and a label for every row, got 3 missing or "
        "infinite cells in 3 rows, first row 490, column 1; row 491, column 0; row 498, column 2. "
        'Try missing="drop-rows".'
    )
    pl.DataFrame(x, schema=["a", "b", "c"]).write_parquet(tmp_path / "a.parquet")
    assert "first row 490, column 'b'" in refusal(stream, tmp_path / "a.parquet", missing="refuse")
    np.save(tmp_path / "a.npy", np.full((50, 2), np.nan))
    assert "at least one row without missing cells" in refusal(
        stream, tmp_path / "a.npy", missing="drop-rows"
    )
    x = ROWS.copy()
    held = [*(data := stream_of(ROWS, tmp_path)).test.index, *data.validation.index]
    x[held, 0] = np.nan
    np.save(tmp_path / "a.npy", x)
    assert "held-out rows without missing cells, got none. Try another `split_seed`" in refusal(
        stream, tmp_path / "a.npy", missing="drop-rows"
    )


def stream_of(rows, folder):
    np.save(folder / "b.npy", rows)
    return stream(folder / "b.npy")


def test_parquet_files_that_cannot_be_decoded(tmp_path, refusal, monkeypatch):
    path = tmp_path / "a.parquet"
    table = pl.DataFrame(ROWS, schema=["a", "b", "c"])
    table.write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "which begins and ends with 'PAR1'" in refusal(stream, path)
    path.write_bytes(whole[:8] + bytes(4000) + whole[4008:])
    assert "expected a whole Parquet file, got one that is damaged" in refusal(stream, path)
    table.with_columns(pl.lit("x").alias("word")).write_parquet(path)
    assert 'drop=("word",)' in refusal(stream, path)
    table.head(0).write_parquet(path)
    assert "at least one row, got none" in refusal(stream, path)
    table.write_parquet(path)
    usage = shutil.disk_usage(tmp_path)._replace(free=11_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "setting TMPDIR to a folder on a larger disk" in refusal(stream, path)


def test_values_that_the_dtype_or_the_support_do_not_hold(tmp_path, refusal):
    np.save(tmp_path / "a.npy", np.where(ROWS[321, 1] == ROWS, 1e100, ROWS))
    assert refusal(stream, tmp_path / "a.npy") == (
        "a.npy, row 321, column 1: expected a number that float32 holds, got 1e+100. "
        'Try precision="float64".'
    )
    stream(tmp_path / "a.npy", dtype=np.float64)
    counts = np.random.default_rng(0).poisson(2.0, size=(500, 2))
    counts[444, 1] = 2**24 + 1
    np.save(tmp_path / "a.npy", counts)
    assert "row 444, column 1: expected a number that float32 holds" in refusal(
        stream, tmp_path / "a.npy"
    )
    np.save(tmp_path / "a.npy", ROWS + 1e9)
    assert "values that float32 tells apart" in refusal(stream, tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", ROWS)
    assert "values that fit the support 'count'" in refusal(
        stream, tmp_path / "a.npy", support="count"
    )
    assert "values that read as 'real'" in refusal(stream, tmp_path / "a.npy", binarize="static")


def test_held_out_rows_fit_in_memory(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(load_module, "_HELD_OUT_ROWS", 20)
    np.save(tmp_path / "a.npy", ROWS)
    data = stream(tmp_path / "a.npy")
    assert (len(data.train), len(data.validation), len(data.test)) == (460, 20, 20)
    assert len(stream(tmp_path / "a.npy", split=(0.96, 0.02, 0.02)).test) == 10
    assert refusal(stream, tmp_path / "a.npy", split=(0.7, 0.1, 0.2)) == (
        "a.npy, split: expected held-out parts of at most 20 rows, which are kept in memory, got "
        "100 of 500. Try leaving out `split`, or smaller shares."
    )
    np.save(tmp_path / "a.npy", ROWS[:4])
    assert "at least one row in every part" in refusal(stream, tmp_path / "a.npy")


def test_large_files_are_streamed_unasked_and_not_loaded_whole(tmp_path, refusal, monkeypatch):
    np.save(tmp_path / "a.npy", ROWS)
    pl.DataFrame(ROWS, schema=["a", "b", "c"]).write_parquet(tmp_path / "a.parquet")
    schema = load_data(tmp_path / "a.npy").schema
    for most, large in ((500 * 3 * 4, False), (500 * 3 * 4 - 1, True)):
        monkeypatch.setattr(load_module, "_MOST_BYTES", most)
        for name in ("a.npy", "a.parquet"):
            assert load_data(tmp_path / name).streamed is large
            assert not load_data(tmp_path / name, stream="no").streamed
    assert refusal(load_rows, tmp_path / "a.npy", schema) == (
        "a.npy: expected rows that take 0.0 GiB of memory or less, got 0.0 GiB. "
        "Try a file of fewer rows, or in Python a part of them as an array."
    )
    assert len(load_rows(ROWS, schema)) == 500


def test_a_file_that_shrinks_while_in_use(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    train = stream(tmp_path / "a.npy").train
    assert isinstance(train, StreamedRows)
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(400)
    with pytest.raises(
        InputError, match="500 rows, as when the file was opened, got an end within"
    ):
        Gatherer(train, 10, 0).gather(0, 1)
