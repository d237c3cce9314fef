"""`FILE.parquet`: the numeric columns of a Parquet table, read by Polars.

A Parquet file can only be read by row groups, whose size its writer chose: hundreds of thousands of
rows as a rule. Rows at random places are therefore not to be had from it. `decode_parquet` unpacks the
columns once, slice by slice, into a temporary file of plain rows, which has no name and is gone with
the process.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from taut.data.sources.files import existing_file
from taut.data.sources.frame import choose_columns, frame_rows, refuse_text
from taut.data.sources.needs_polars import need_polars
from taut.data.sources.panics import without_panics
from taut.data.sources.raw_rows import RawRows, Request
from taut.data.sources.row_file import RowFile
from taut.data.sources.whole_numbers import refuse_wide
from taut.data.sources.words import BOOLEAN
from taut.errors import InputError

__all__ = ["boolean_words", "decode_parquet", "parquet_form", "read_parquet"]

_ON_DISK = "where rows stay on disk"
_MAGIC = b"PAR1"
_SLICE_BYTES = 2**27  # decoded at a time; a row group is decoded anew for each slice of it


def read_parquet(source: str, request: Request) -> tuple[RawRows, ...]:
    """All rows, of the columns that the request leaves.

    Raises:
        InputError: no Polars; a file that is not Parquet, or is cut short; columns as in
            `choose_columns`.
    """
    file = existing_file(source)
    need_polars(source)
    import polars as pl

    _check_ends(source)
    with _damage_named(source):
        names = list(pl.read_parquet_schema(file))
        data, label = choose_columns(names, request, source)
        wanted = data if label is None else [*data, label]
        frame = pl.read_parquet(file, columns=wanted, glob=False, hive_partitioning=False)
    return (frame_rows(frame, data, label, source, request=request),)


def parquet_form(source: str, request: Request) -> tuple[int, list[str], np.dtype]:
    """Number of rows, columns of data, and the type of number that holds all of them but nulls.

    Raises:
        InputError: as `read_parquet`.
    """
    file = existing_file(source)
    need_polars(source)
    import polars as pl

    _check_ends(source)
    with _damage_named(source):
        schema = pl.read_parquet_schema(file)
        data, _ = choose_columns(list(schema), request, source)
        lazy = pl.scan_parquet(file, glob=False, hive_partitioning=False)
        count = int(lazy.select(pl.len()).collect().item())
    if not count:
        raise InputError("at least one row", "none", "another table", where=source)
    return count, data, _common_type([schema[n] for n in data if _holds_numbers(schema[n])])


def decode_parquet(source: str, request: Request) -> tuple[RowFile, tuple[str, ...]]:
    """The rows in a temporary file, NaN for nulls, and the names of their columns.

    Raises:
        InputError: as `read_parquet`; too little room for the temporary file.
    """
    count, data, dtype = parquet_form(source, request)
    import polars as pl

    schema = pl.read_parquet_schema(existing_file(source))
    refuse_text([n for n in data if not _holds_numbers(schema[n])], source, _ON_DISK)
    rows = _decoded(source, data, count, dtype)
    if rows is None:  # nulls among whole numbers
        rows = _decoded(source, data, count, np.dtype(np.float64))
        assert rows is not None
        rows = replace(rows, whole=True)
    return rows, tuple(data)


def boolean_words(source: str, columns: Sequence[str]) -> tuple[tuple[str, ...], ...] | None:
    """What stands for 0 and 1 in each column of a file: false and true of Booleans, nothing of others;
    None where no column is of Booleans."""
    import polars as pl

    schema = pl.read_parquet_schema(existing_file(source))
    found = tuple(BOOLEAN if schema[name] == pl.Boolean else () for name in columns)
    return found if any(found) else None


def _decoded(source: str, data: list[str], count: int, dtype: np.dtype) -> RowFile | None:
    """The rows as numbers of one type; None for nulls that the type has no word for."""
    import polars as pl

    folder, needed = tempfile.gettempdir(), count * len(data) * dtype.itemsize
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"room for {needed / 2**30:.1f} GiB of decoded rows in {folder}",
            f"{free / 2**30:.1f} GiB",
            "setting TMPDIR to a folder on a larger disk, or a .npy file",
            where=source,
        )
    lazy = pl.scan_parquet(existing_file(source), glob=False, hive_partitioning=False).select(data)
    height = max(1, _SLICE_BYTES // (len(data) * dtype.itemsize))
    with tempfile.TemporaryFile(dir=folder) as target:
        for first in range(0, count, height):
            with _damage_named(source):
                frame = lazy.slice(first, height).collect(engine="streaming")
            rows = np.empty((len(frame), len(data)), dtype)
            for i, column in enumerate(frame.iter_columns()):
                if column.null_count() and dtype.kind != "f":
                    return None
                if dtype.kind == "f" and column.dtype.is_integer():
                    whole, place = column.drop_nulls().to_numpy(), f"{source}, column '{data[i]}'"
                    refuse_wide(whole, place, name=data[i])
                cells = column.cast(pl.Float64) if column.null_count() else column
                rows[:, i] = cells.fill_null(float("nan")).to_numpy()
            target.write(rows.data)
        target.flush()
        return RowFile.of(os.dup(target.fileno()), source, (count, len(data)), dtype)


def _holds_numbers(kind: Any) -> bool:
    import polars as pl

    return kind.is_numeric() or kind == pl.Boolean


def _common_type(types: list) -> np.dtype:
    """Whole numbers where all columns hold them, as `frame_rows`; else the narrowest float."""
    import polars as pl

    if all(t == pl.Boolean or (t.is_integer() and t not in (pl.UInt64, pl.Int128)) for t in types):
        # Signed, as eight unsigned bits mean a picture elsewhere.
        named = [np.dtype(np.int8 if t == pl.Boolean else str(t).lower()) for t in types]
        return np.result_type(np.int8, *named)
    narrow = (pl.Boolean, pl.Int8, pl.Int16, pl.UInt8, pl.UInt16, pl.Float32)
    return np.dtype(np.float32 if all(t in narrow for t in types) else np.float64)


@contextmanager
def _damage_named(source: str) -> Iterator[None]:
    """What Polars or the system says of a file, in three parts."""
    import polars as pl

    try:
        with without_panics():
            yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            "a whole Parquet file",
            f"one that is damaged ({reason})",
            "writing it again",
            where=source,
        ) from error


def _check_ends(source: str) -> None:
    """A Parquet file begins and ends with the same four bytes; one that is cut short does not."""
    content = existing_file(source)
    with content.open("rb") as file:
        first = file.read(4)
        file.seek(max(content.stat().st_size - 4, 0))
        last = file.read(4)
    if first != _MAGIC or last != _MAGIC:
        at = "begins" if first != _MAGIC else "ends"
        raise InputError(
            "a whole Parquet file, which begins and ends with 'PAR1'",
            f"one that {at} with {first if at == 'begins' else last!r}",
            "writing it again, or the ending that belongs to its format",
            where=source,
        )
