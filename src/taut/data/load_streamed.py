"""Data that stay on disk: `.npy` and Parquet files that would fill a share of memory.

    draw held-out rows -> one pass: missing cells, support, shift and scale
        -> validation and test rows in memory, training rows on disk

The steps are those of `taut.data.load_in_memory` and give what they give, with three exceptions. The
held-out rows are drawn one by one, keyed by the seed, at most 10,000 or 128 MiB of each kind; shift and
scale are those of the file's numbers before they are rounded to `dtype`; labels are left out.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from taut.data.binarize import binarized
from taut.data.coded_cells import uncoded
from taut.data.conform import check_unfolds
from taut.data.dataset import Data, Dataset
from taut.data.grids import grids_of, whole_columns
from taut.data.identifiers import numbering_note
from taut.data.missing import empty_note, marked, observed
from taut.data.missing_codes import suspected_among
from taut.data.options import DataOptions, Streaming
from taut.data.rounding import refuse_rounding
from taut.data.schema import Kind, Schema
from taut.data.sources import (
    RowFile,
    boolean_words,
    decode_parquet,
    open_npy,
    parquet_form,
    source_name,
)
from taut.data.sources.files import existing_file
from taut.data.sources.raw_rows import Request, refuse_columns
from taut.data.split import DEFAULT_SPLIT
from taut.data.standardize import (
    constant_columns,
    constant_note,
    shift_and_scale,
)
from taut.data.streamed import StreamedRows
from taut.data.streams import Stream, distinct, philox
from taut.data.support import Facts, converted, model_values, refuse_unbinarizable, support_of
from taut.data.survey import Survey, each_part, survey
from taut.errors import InputError, counted, option

__all__ = ["can_stream", "load_streamed", "refuse_too_large", "stays_on_disk"]

_MOST_BYTES = 2**31  # of rows that are kept in memory unasked, where a quarter of memory is more
_HELD_OUT_ROWS = 10_000  # their mean log-evidence has an error of 1 % of its spread over rows
_HELD_OUT_BYTES = 2**27


def stays_on_disk(source: Any, request: Request, wish: Streaming, dtype: str) -> bool:
    """Whether the training rows of a source are streamed.

    Raises:
        InputError: `yes` for a source that cannot be streamed.
    """
    if wish == "yes" and not can_stream(source):
        raise InputError(
            "one .npy or .parquet file, which rows can be streamed from",
            str(source) if isinstance(source, str | Path) else f"a {type(source).__name__}",
            f"{option('stream', 'no')}, or writing the rows into a .npy file",
            where="stream",
        )
    return wish == "yes" or (wish == "auto" and _bytes_in_memory(source, request, dtype) > _most())


def can_stream(source: Any) -> bool:
    """Whether rows can be streamed from a source: the path of one `.npy` or Parquet file."""
    return _ending(source) is not None


def refuse_too_large(source: Any, request: Request, dtype: str) -> None:
    """Refuse a file whose rows are more than are kept in memory unasked."""
    needed = _bytes_in_memory(source, request, dtype)
    if needed > _most():
        raise InputError(
            f"rows that take {_most() / 2**30:.1f} GiB of memory or less",
            f"{needed / 2**30:.1f} GiB",
            "a file of fewer rows, or in Python a part of them as an array",
            where=str(source),
        )


def load_streamed(source: str, request: Request, options: DataOptions) -> Data:
    """Held-out rows in memory, training rows on disk.

    Raises:
        InputError: as `load_data`; an explicit split with larger held-out parts than are kept in
            memory; more rows than 32 bits count.
    """
    file, columns, notes = _opened(source, request, options.image_shape)
    drawn = _held_out(file, options.split, options.split_seed, options.dtype)
    found = survey(
        file, np.sort(np.concatenate(drawn)), options.missing, options.dtype,
        columns=columns, codes=options.missing_codes,
    )  # fmt: skip
    schema, of_values = _schema_of(file, columns, found, options)
    # Rows are given without their coded cells only where these are modelled.
    codes = options.missing_codes if options.missing == "model" else ()
    refuse_rounding(found.moments, file.where, schema)
    if _may_overflow(found.facts, schema):
        for part in each_part(file, columns):
            used = ~np.isin(np.asarray(part.index), found.bad)
            model_values(marked(part.select(np.flatnonzero(used)), codes), schema)
    rows = StreamedRows(
        file=file,
        left_out=np.unique(np.concatenate([*drawn, found.bad])),
        schema=_learned(schema, found, options),
        high=found.facts.high,
        seed=options.split_seed,
        dtype=options.dtype,
        codes=codes,
    )
    validation, test = (
        _in_memory(rows, numbers) for numbers in _whole(drawn, found.bad, file.where)
    )
    schema = _of_table(rows, [validation, test], found)
    train = replace(rows, schema=schema)
    validation, test = (replace(part, schema=schema) for part in (validation, test))
    notes += (
        f"{len(train)} training rows are streamed from disk; {len(validation)} validation and "
        f"{counted(len(test), 'test row')}, drawn one by one, are kept in memory",
        *found.notes,
        *of_values,
        *numbering_note(found.numbering, schema),
        *suspected_among(found.ends, schema),
        *constant_note(found.moments.varies, schema),
        *empty_note(found.moments.counts == 0, schema),
    )
    return Data(train, validation, test, schema, tuple(dict.fromkeys(notes)), options)


def _opened(
    source: str, request: Request, image_shape: tuple[int, ...] | None
) -> tuple[RowFile, tuple[str, ...] | None, tuple[str, ...]]:
    """The rows, as images of a shape unless it is None, the names of their columns, and notes."""
    if _ending(source) == ".npy":
        refuse_columns(request, source)
        file, columns, notes = open_npy(source), None, ()
    else:
        file, columns = decode_parquet(source, request)
        size = file.num_rows * file.size * file.dtype.itemsize / 2**30
        notes = (f"decoded to {size:.2f} GiB in a temporary file, which the process takes with it",)
        if request.label is not None:
            notes += (f"the label '{request.label}' is left out, as rows are streamed",)
    if file.num_rows >= 2**31:
        raise InputError("fewer than 2^31 rows", f"{file.num_rows}", "several files", where=source)
    if image_shape is not None and file.shape != image_shape:
        check_unfolds(file.shape, image_shape, source)
        file, columns = file.shaped(image_shape), None
    return file, columns, notes


def _held_out(
    file: RowFile, split: Sequence[float], seed: int, dtype: str
) -> tuple[Int64[np.ndarray, " v"], Int64[np.ndarray, " t"]]:
    """Numbers of the validation and of the test rows, in random order."""
    row_bytes = file.size * np.dtype(dtype).itemsize
    most = min(_HELD_OUT_ROWS, max(1, _HELD_OUT_BYTES // row_bytes))
    sizes = [round(share * file.num_rows) for share in split[1:]]
    if max(sizes) > most and tuple(split) != DEFAULT_SPLIT:
        raise InputError(
            f"held-out parts of at most {most} rows, which are kept in memory",
            f"{max(sizes)} of {file.num_rows}",
            f"leaving out {option('split')}, or smaller shares",
            where=f"{file.where}, split",
        )
    sizes = [min(size, most) for size in sizes]
    if min(sizes) < 1 or sum(sizes) >= file.num_rows:
        raise InputError(
            "at least one row in every part",
            f"{sizes[0]} validation and {sizes[1]} test rows out of {file.num_rows}",
            "more rows, or a split with larger shares of the empty part",
            where=f"{file.where}, split",
        )
    drawn = distinct(philox(seed, Stream.HELD_OUT), sum(sizes), file.num_rows)
    return drawn[: sizes[0]], drawn[sizes[0] :]


def _whole(
    drawn: Sequence[Int64[np.ndarray, " n"]], bad: Int64[np.ndarray, " b"], where: str
) -> list[Int64[np.ndarray, " m"]]:
    """The numbers of held-out rows without those that are left out for their missing cells."""
    held = [numbers[~np.isin(numbers, bad)] for numbers in drawn]
    if min(len(numbers) for numbers in held) < 1:
        raise InputError(
            "held-out rows without missing cells", "none", f"another {option('split_seed')}",
            where=where,
        )  # fmt: skip
    return held


def _schema_of(
    file: RowFile, columns: tuple[str, ...] | None, found: Survey, options: DataOptions
) -> tuple[Schema, tuple[str, ...]]:
    """The form of a row by all rows, and notes of the support."""
    kind: Kind = "table" if len(file.shape) == 1 else "image"
    intensities = options.binarize != "none"
    inferred = support_of(
        found.facts, kind, file.where, wish=options.support, intensities=intensities
    )
    refuse_unbinarizable(inferred, options.binarize, file.where)
    binary = inferred.support == "binary"
    schema = Schema(
        name=source_name(file.where) if options.name is None else options.name,
        kind=kind,
        shape=file.shape,
        support="binary" if intensities else inferred.support,
        levels=inferred.levels,
        columns=columns,
        binarize=options.binarize,
        dtype=options.dtype,
        holes=found.holes > 0,
        words=boolean_words(file.where, columns) if columns and binary else None,
    )
    return schema, inferred.notes


def _learned(schema: Schema, found: Survey, options: DataOptions) -> Schema:
    """The schema with what training rows alone decide: shift, scale and constants."""
    if options.standardize and schema.support == "real":
        shift, scale = shift_and_scale(found.moments)
        schema = replace(schema, shift=shift, scale=scale)
    if schema.kind == "table":
        schema = constant_columns(found.moments.varies, found.moments.low, schema)
    return schema


def _of_table(rows: StreamedRows, held_out: Sequence[Dataset], found: Survey) -> Schema:
    """The schema with the columns of a table that are whole or repeat values.

    Whether one repeats values is told by held-out rows; where it does, its grid holds all rows, which
    are read once more.
    """
    schema = rows.schema
    if schema.kind != "table":
        return schema
    x = np.concatenate([part.x for part in held_out])
    whole = tuple(i for i in whole_columns([x], schema) if found.whole[i])
    grids = grids_of(x, schema, lambda: (part.x for part in rows.parts()))
    return replace(schema, whole=whole or None, **grids)


def _in_memory(rows: StreamedRows, numbers: Int64[np.ndarray, " n"]) -> Dataset:
    """Rows of the file by their numbers, drawn once where the schema is binarized."""
    schema = rows.schema
    x = np.empty((len(numbers), *schema.shape), schema.dtype)
    for place, row in enumerate(numbers.tolist()):
        cells = uncoded(rows.file.read(row, row + 1), rows.codes)
        grey = converted(cells, schema, high=rows.high)
        x[place] = binarized(grey, schema.binarize, seed=rows.seed, first_row=row)[0]
    index = numbers.astype(np.int32)
    return Dataset(cells=x, mask=observed(x, schema), label=None, index=index, schema=schema)


def _may_overflow(facts: Facts, schema: Schema) -> bool:
    """Whether a value may be beyond what the schema's dtype holds, or holds exactly."""
    limits = np.finfo(schema.dtype)
    if schema.support == "count":
        return facts.high > 2.0 ** (int(limits.nmant) + 1)
    return max(abs(facts.low), abs(facts.high)) > float(limits.max)


def _ending(source: Any) -> str | None:
    """`.npy` or `.parquet` for the path of such a file."""
    if not isinstance(source, str | Path) or ("," in str(source) and not Path(source).exists()):
        return None
    ending = Path(source).suffix.lower()
    return ending if ending in (".npy", ".parquet") else None


def _bytes_in_memory(source: Any, request: Request, dtype: str) -> int:
    """What the rows of a file take in memory, as far as its header says; 0 for other sources."""
    ending, item = _ending(source), np.dtype(dtype).itemsize
    if ending == ".npy" and existing_file(str(source)).stat().st_size * item > _most():
        file = open_npy(source)
        return file.num_rows * file.size * item
    if ending == ".parquet":
        count, columns, _ = parquet_form(str(source), request)
        return count * len(columns) * item
    return 0


def _most() -> int:
    """Bytes of rows that are kept in memory unasked."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _MOST_BYTES
    return min(_MOST_BYTES, memory // 4)
