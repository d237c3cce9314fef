"""From a source to the three parts of a data set.

    read -> mark, drop or refuse missing cells -> infer the support -> scale onto it -> binarize -> split
         -> learn shift and scale on the training rows

Each step is a function of the source, the options and the seed alone, and draws from a stream of
its own: another split leaves the binarization of a row as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from taut.core import pythonic
from taut.data.binarize import binarized
from taut.data.column_values import values_by_column
from taut.data.conform import as_images, refuse_unlike
from taut.data.dataset import Data, Dataset
from taut.data.grids import grids_of, whole_columns
from taut.data.identifiers import identifier_note, without_identifiers
from taut.data.kinds import (
    columns_of,
    kinds_note,
    standardised,
)
from taut.data.labels import class_names, label_codes, label_values, with_empty_labels
from taut.data.load_streamed import load_streamed, stays_on_disk
from taut.data.missing import empty_note, observed, without_missing
from taut.data.missing_codes import suspected_codes
from taut.data.number_names import number_name
from taut.data.options import DataOptions
from taut.data.rounding import refuse_blurred, refuse_rounding
from taut.data.schema import Kind, Schema
from taut.data.slabs import slabs
from taut.data.sources import RawRows, Request, read_source, source_name
from taut.data.sparse_rows import SparseRows, column_extremes, selected
from taut.data.split import DEFAULT_SPLIT, plan_of
from taut.data.standardize import (
    constant_columns,
    constant_note,
    moments_of,
    shift_and_scale,
)
from taut.data.staying_sparse import as_asked
from taut.data.support import (
    Inferred,
    check_values,
    converted,
    has_holes,
    infer_support,
    largest,
    refuse_unbinarizable,
    refuse_unheld,
)
from taut.data.targets import (
    asked_of_columns,
    check_target,
    classes_of_column,
    coded_columns,
    targets,
    words_of_classes,
)
from taut.data.wishes import check_wished, read_columns, wish_texts, wishes_of
from taut.errors import InputError, option

__all__ = ["load_data", "loaded"]


def load_data(
    source: Any,
    *,
    split: Sequence[float] = DEFAULT_SPLIT,
    seed: int = 0,
    label: str | None = None,
    target: str | None = None,
    target_as: str = "label",
    drop: Sequence[str] = (),
    missing: str = "model",
    missing_codes: Sequence[float | int] | float | int = (),
    decimal: str = "auto",
    binarize: str = "none",
    standardize: bool = True,
    support: str | None = None,
    columns: str = "alike",
    kind: Sequence[str] | Mapping[str, str | Mapping[str, Any]] = (),
    image_shape: Sequence[int] | None = None,
    name: str | None = None,
    dtype: Any = np.float32,
    stream: str = "auto",
) -> Data:
    """Training, validation and test rows of a source.

    Arguments:
        source: a string or path of a form in `taut.data.sources.SOURCES`; a NumPy array, (N, D),
            (N, H, W) or (N, H, W, C); a data frame that Narwhals accepts; or a tuple of three of
            these, split already.
        split: shares of training, validation and test rows. The default gives way to a split that
            the source has; any other is refused where the source is three files, and where it has
            test rows of its own divides the rest in the ratio of the first two.
        seed: of the split and of a static binarization.
        label: the column that is the label, or the other array of a `.npz` or `.mat` file.
        target: the column that is to be predicted, or the other array; rows without a value of it stay.
        target_as: `label`, beside the columns, or `column`, one of them.
        drop: columns that are not data.
        missing: `model` the cells that are there alone, which is exact where a cell's value does not
            decide whether it is missing; `refuse` NaN and empty cells; or `drop-rows` that have some.
            Infinite cells and rows without a label are refused, or dropped.
        missing_codes: numbers that stand for a missing cell, such as -999, also in columns of text.
        decimal: decimal mark of numbers in text files, `.` or `,`; `auto` for what they show.
        binarize: `none`, `static`, `dynamic`, `threshold`; see `taut.data.binarize`.
        standardize: learn shift and scale of real values on the training rows.
        support: read the values as `binary`, `grey`, `unit`, `count` or `real` instead of what they
            look like.
        columns: `alike`, `auto` for columns that each have a kind of their own, see
            `taut.data.kinds`, or a file of columns, see `taut.data.wishes`.
        kind: kinds of columns, such as `{"age": "count"}` or `["age=count"]`.
        image_shape: (H, W) or (H, W, C) of images that the source holds as flat rows.
        name: name of the data set; from the source by default.
        dtype: float32 or float64, of `x`.
        stream: `yes` leaves the training rows of a `.npy` or Parquet file on disk, `no` reads any
            source into memory, `auto` streams files whose rows take more than 2 GiB of memory or
            a quarter of what the machine has. See `taut.data.load_streamed` for what differs.

    Raises:
        InputError: an option or a source that cannot be used, with file, line and column.
    """
    options: dict[str, Any] = {
        "source": str(source) if isinstance(source, str | Path) else None,
        "split": tuple(split),
        "split_seed": seed,
        "label": label,
        "target": target,
        "target_as": target_as,
        "drop": (drop,) if isinstance(drop, str) else tuple(drop),
        "missing": missing,
        "missing_codes": tuple(float(code) for code in np.atleast_1d(missing_codes)),
        "decimal": decimal,
        "binarize": binarize,
        "standardize": standardize,
        "support": support,
        "columns": columns,
        "kind": wish_texts(kind),
        "image_shape": None if image_shape is None else tuple(image_shape),
        "name": name,
        "dtype": _dtype(dtype),
        "stream": stream,
    }
    return loaded(source, DataOptions.from_dict(pythonic(options)))


def loaded(source: Any, options: DataOptions, *, unsplit: bool = False) -> Data:
    """The data of a source, which options without a source of their own do not name.

    Arguments:
        source: as of `load_data`.
        options: all others.
        unsplit: rows that are too few to be split are all for training.

    Raises:
        InputError: as `load_data`.
    """
    beside = options.target if options.target_as == "label" else None
    if options.columns.endswith(".toml"):
        told = read_columns(options.columns)
        options = replace(options, columns="auto", kind=(*told, *options.kind))
    wishes = wishes_of(options.kind, where="kind")
    request = Request(
        label=options.label or beside, drop=options.drop, decimal=options.decimal,
        missing={name: wish.missing for name, wish in wishes.items() if wish.missing},
        codes=tuple(map(number_name, options.missing_codes)),
        worded=tuple(n for n, wish in wishes.items() if wish.asked in ("categorical", "ordinal")),
        coded=coded_columns(options),
    )  # fmt: skip
    by_column = bool(options.kind) or options.columns == "auto"
    stream = "no" if by_column and options.stream == "auto" else options.stream
    on_disk = stays_on_disk(source, request, stream, options.dtype)
    check_target(options, on_disk=on_disk)
    if on_disk and by_column:
        raise InputError(
            "rows in memory, where columns have kinds of their own", "rows that stay on disk",
            option("stream", "no"), where=option("stream"),
        )  # fmt: skip
    options = replace(options, stream="yes" if on_disk else "no")
    if on_disk:
        return load_streamed(str(source), request, options)
    how, seed = options.binarize, options.split_seed
    told = bool(options.kind) or (options.target is not None and beside is None)
    parts = [with_empty_labels(part, request.missing) for part in read_source(source, request)]
    parts = [as_asked(part, options, by_column=told) for part in parts]
    parts = [as_images(part, options.image_shape) for part in parts]
    refuse_unlike(parts)
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    notes = [note for part in parts for note in part.notes]
    for i, part in enumerate(parts):
        parts[i], dropped = without_missing(
            part, options.missing, options.missing_codes, labelled=beside is None
        )
        notes += dropped
        refuse_unheld(parts[i])
    classes = class_names(parts)
    if beside is not None:
        parts, classes = targets(parts, options)
    plan = plan_of(
        [len(part) for part in parts], options.split, seed, parts[0].where, unsplit=unsplit
    )

    kind, asked = _kind(parts[0]), asked_of_columns(parts, options)
    columns = None
    sparse = isinstance(parts[0].values, SparseRows)  # of columns that are alike
    if asked or (options.columns == "auto" and not sparse) or any(_tells(part) for part in parts):
        _check_columns(parts[0], options)
        own = wishes_of(asked, where=f"{parts[0].where}, kind")
        check_wished(own, (*(parts[0].columns or ()), *options.drop), parts[0].where)
        stay = {name for name, wish in own.items() if wish.asked}
        parts, left = without_identifiers(parts, {*stay, options.target or ""})
        notes += left
        columns = columns_of(parts, own)
    if options.target is not None and beside is None:
        classes = classes_of_column(parts, columns, options)
    if columns:
        parts, lost = values_by_column(parts, columns, options.dtype)
        notes += lost
    inferred = (
        Inferred("mixed", None)
        if columns
        else infer_support(parts, kind, wish=options.support, intensities=how != "none")
    )
    refuse_unbinarizable(inferred, how, parts[0].where)
    notes += inferred.notes
    schema = Schema(
        name=source_name(source) if options.name is None else options.name,
        kind=kind,
        shape=parts[0].values.shape[1:],
        support=inferred.support if how == "none" else "binary",
        levels=inferred.levels,
        columns=parts[0].columns,
        label_name=parts[0].label_name,
        classes=classes,
        binarize=how,
        dtype=options.dtype,
        kinds=columns,
        target=options.target,
        sparse=sparse,
        label_missing=label_codes(parts[0], request.missing),
        class_words=words_of_classes(parts, classes, options),
        words=_words(parts) if inferred.support == "binary" else None,
    )
    labels, indices, drawn = [], [], []
    for i, part in enumerate(parts):
        check_values(part, schema)
        if schema.support == "real" and part.values.dtype != schema.dtype:
            refuse_rounding(moments_of(part.values, schema), part.where, schema)
        labels.append(
            part.labels if beside else label_values(part, schema.classes, schema.dtype)
        )  # fmt: skip
        if not beside and part.labels is not None and labels[-1].dtype.kind == "f":
            refuse_blurred(part.labels, labels[-1], f"{part.where}, label '{part.label_name}'")
        indices.append((part.numbers + offsets[i]).astype(np.int32))
        if how != "none":
            drawn.append(_drawn(part.values, schema, seed=seed, part=i))
    schema = replace(schema, holes=any(has_holes(part.values) for part in parts))
    if kind == "table" and not schema.sparse:  # before the rows are copied part by part
        schema, told = _of_table([part.values for part in parts], schema, parts[0])
    else:
        told = ()

    def dataset(which: int, part: int, rows: np.ndarray) -> Dataset:
        # Training rows stay grey where every batch of them is drawn anew.
        if how == "none" or (how == "dynamic" and which == 0):
            cells = _held(parts[part].values, rows, schema)
        else:
            cells = drawn[part][rows]
        label = None if labels[part] is None else labels[part][rows]
        return Dataset(
            cells=cells, mask=None, label=label, index=indices[part][rows], schema=schema
        )

    train, validation, test = (dataset(which, *rows) for which, rows in enumerate(plan))
    if options.standardize and schema.support == "real":
        shift, scale = shift_and_scale(moments_of(train.cells, schema))
        schema = replace(schema, shift=shift, scale=scale)
    if columns:
        schema = replace(schema, kinds=standardised(train.x, columns))
        notes.append(kinds_note(schema.kinds or ()))
    notes += told
    low, high = map(train.decoded, column_extremes(train.cells))
    varies = low != high
    schema = constant_columns(varies, low, schema)
    notes += (*constant_note(varies, schema), *empty_note(np.isnan(low), schema))
    train, validation, test = (
        replace(part, schema=schema, mask=observed(part.x, schema) if schema.holes else None)
        for part in (train, validation, test)
    )
    return Data(
        train=train,
        validation=validation,
        test=test,
        schema=schema,
        notes=tuple(dict.fromkeys(notes)),
        options=options,
    )


def _of_table(
    values: list[np.ndarray], schema: Schema, first: RawRows
) -> tuple[Schema, tuple[str, ...]]:
    """What the columns of a table tell by all their values, and notes of it."""
    schema = replace(schema, whole=whole_columns(values, schema) or None)
    if schema.kinds is not None:
        return schema, ()
    whole = np.concatenate(values) if len(values) > 1 else values[0]
    schema = replace(schema, **grids_of(whole, schema))
    return schema, (*identifier_note(first, schema), *suspected_codes(whole, schema))


def _held(
    values: Shaped[np.ndarray, "N ..."] | SparseRows, rows: Int[np.ndarray, " M"], schema: Schema
) -> Shaped[np.ndarray, "M ..."] | SparseRows:
    """Copies of some rows of a source: as they are where narrow or sparse, else as a schema has them."""
    if isinstance(values, SparseRows) or _narrow(values):
        return selected(values, rows)
    x, high = np.empty((len(rows), *values.shape[1:]), schema.dtype), largest(values)
    for slab in slabs(x.shape):
        x[slab] = converted(values[rows[slab]], schema, high=high)
    return x


def _drawn(
    values: Shaped[np.ndarray, "N ..."], schema: Schema, *, seed: int, part: int
) -> Shaped[np.ndarray, "N ..."]:
    """Zeros and ones of all rows of a part, as booleans where its values are narrow."""
    if not _narrow(values):
        x = converted(values, schema, high=largest(values))
        return binarized(x, schema.binarize, seed=seed, part=part)
    drawn = np.empty(values.shape, bool)
    for slab in slabs(values.shape):
        x = converted(values[slab], schema, high=largest(values))
        drawn[slab] = binarized(x, schema.binarize, seed=seed, part=part, first_row=slab.start)
    return drawn


def _narrow(values: Shaped[np.ndarray, "..."]) -> bool:
    """Whether the values are whole numbers of 8 or 16 bits."""
    return values.dtype.kind in "iu" and values.dtype.itemsize <= 2


def _check_columns(first: RawRows, options: DataOptions) -> None:
    """Refuse columns that have no names, and a wish for all of them, where they are read one by one."""
    for name, value in {"support": options.support, "binarize": options.binarize}.items():
        if value not in (None, "none"):
            raise InputError(
                f"no {name}, where columns have kinds of their own", f"'{value}'",
                f"leaving out {option(name)}", where=first.where,
            )  # fmt: skip
    if first.columns is None:
        raise InputError(
            "a table with named columns", "one without", "a data frame, or a CSV file with a header",
            where=f"{first.where}, columns",
        )  # fmt: skip


def _tells(rows: RawRows) -> bool:
    """Whether a table has columns of text or dates, which are read by the column."""
    return rows.names is not None or any(unit.form for unit in rows.units or ())


def _words(parts: Sequence[RawRows]) -> tuple[tuple[str, ...], ...] | None:
    """What a source writes for 0 and 1 in each column of a table; None where it has no words."""
    units = [part.units for part in parts if part.units is not None]
    found = tuple(next((u.words for u in own if u.words), ()) for own in zip(*units, strict=True))
    return found if any(found) else None


def _kind(rows: RawRows) -> Kind:
    return "table" if rows.values.ndim == 2 else "image"


def _dtype(dtype: Any) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        return str(dtype)
