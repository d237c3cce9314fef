"""Data in memory.

    read -> mark, drop or refuse missing cells -> code the labels -> split -> kinds of columns
         -> infer the support -> check, scale and binarize -> learn shift and scale on the training rows

All values decide kinds, support and levels; the training rows alone decide shift and scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32, Shaped

from taut.data.binarize import binarized
from taut.data.checksum import grey_checksum
from taut.data.column_values import values_by_column
from taut.data.conform import as_images, refuse_unlike
from taut.data.dataset import Data, Dataset
from taut.data.grids import grids_of, whole_columns
from taut.data.identifiers import identifier_note, without_identifiers
from taut.data.kinds import Column, columns_of, kinds_note, standardised
from taut.data.labels import class_names, label_codes, label_values, with_empty_labels
from taut.data.missing import dropped_for_note, empty_note, observed, without_missing
from taut.data.missing_codes import suspected_codes
from taut.data.options import DataOptions
from taut.data.rounding import refuse_blurred, refuse_rounding
from taut.data.same_parts import same_parts_notes
from taut.data.schema import Schema
from taut.data.slabs import slabs
from taut.data.sources import RawRows, Request, read_source, source_name
from taut.data.sparse_rows import SparseRows, column_extremes, selected
from taut.data.split import plan_of
from taut.data.standardize import constant_columns, constant_note, moments_of, shift_and_scale
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
from taut.data.targets import asked_of_columns, classes_of_column, targets, words_of_classes
from taut.data.wishes import check_wished, wishes_of
from taut.errors import InputError, in_python, option

__all__ = ["load_in_memory"]


class _Source(NamedTuple):
    """What is known of a source so far.

    Attributes:
        parts: its rows; three parts where they are split already.
        offsets: number of the first row of each part, counted over all.
        classes: names that labels, or the values of a target, stand for; None where they are numbers.
        columns: what the columns are; None where they are alike.
        notes: what a reader should know of the rows.
    """

    parts: list[RawRows]
    offsets: list[int]
    classes: tuple[str, ...] | None
    columns: tuple[Column, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> RawRows:
        return self.parts[0]

    @property
    def sparse(self) -> bool:
        return isinstance(self.first.values, SparseRows)


class _Part(NamedTuple):
    """A part of a source whose values suit the schema.

    Attributes:
        values: as the source holds them.
        drawn: zeros and ones of all rows; None where they are not binarized.
        label: of each row; None without.
        numbers: of the rows in the source.
    """

    values: Shaped[np.ndarray, "N ..."] | SparseRows
    drawn: Shaped[np.ndarray, "N ..."] | None
    label: Shaped[np.ndarray, " N"] | None
    numbers: Int32[np.ndarray, " N"]


def load_in_memory(
    source: Any, request: Request, options: DataOptions, *, unsplit: bool = False
) -> Data:
    """Training, validation and test rows in memory.

    Arguments:
        source: as of `taut.data.load_data`.
        request: what the source is asked for.
        options: all others.
        unsplit: rows that are too few to be split are all for training.

    Raises:
        InputError: as `taut.data.load_data`.
    """
    known = _read(source, request, options)
    plan = plan_of(
        [len(part) for part in known.parts], options.split, options.split_seed, known.first.where,
        unsplit=unsplit,
    )  # fmt: skip
    known = _with_columns(known, options)
    if known.columns:
        parts, lost = values_by_column(known.parts, known.columns, options.dtype)
        known = known._replace(parts=parts, notes=(*known.notes, *lost))
    name = source_name(source) if options.name is None else options.name
    schema, of_values = _schema_of(known, name, request, options)
    parts = [_checked(known, i, schema, options) for i in range(len(known.parts))]
    schema = replace(schema, holes=any(has_holes(part.values) for part in parts))
    schema, of_table = _of_table(known, schema)  # before the rows are copied part by part
    train, validation, test = (
        _dataset(parts[part], rows, schema, training=which == 0)
        for which, (part, rows) in enumerate(plan)
    )
    schema, of_training = _learned(train, options)
    train, validation, test = (
        replace(part, schema=schema, mask=observed(part.x, schema) if schema.holes else None)
        for part in (train, validation, test)
    )
    notes = (*known.notes, *of_values, *of_table, *of_training)
    grey = _grey_checksum(parts, schema) if schema.binarize in ("static", "dynamic") else ""
    return Data(train, validation, test, schema, tuple(dict.fromkeys(notes)), options, grey)


def _beside(options: DataOptions) -> bool:
    """Whether there is a target that is no column."""
    return options.target is not None and options.target_as == "label"


def _is_column(options: DataOptions) -> bool:
    """Whether there is a target that is one of the columns."""
    return options.target is not None and not _beside(options)


def _read(source: Any, request: Request, options: DataOptions) -> _Source:
    """The rows that a source has, as far as missing cells let them stay, with coded targets."""
    by_column = bool(options.kind) or _is_column(options)
    parts = [with_empty_labels(part, request) for part in read_source(source, request)]
    parts = [as_asked(part, options, by_column=by_column) for part in parts]
    parts = [as_images(part, options.image_shape) for part in parts]
    refuse_unlike(parts)
    sizes = [len(part) for part in parts]
    notes = [*(note for part in parts for note in part.notes), *same_parts_notes(parts)]
    for i, part in enumerate(parts):
        parts[i], dropped = without_missing(
            part, options.missing, options.missing_codes, labelled=not _beside(options)
        )
        notes += dropped
        if options.target is not None and _is_column(options) and options.missing == "drop-rows":
            notes += dropped_for_note(part, options.target, options.missing_codes)
        refuse_unheld(parts[i])
    classes = class_names(parts)
    if _beside(options):
        parts, classes = targets(parts, options)
    offsets = np.cumsum([0, *sizes[:-1]]).tolist()
    return _Source(parts, offsets, classes, notes=tuple(notes))


def _with_columns(known: _Source, options: DataOptions) -> _Source:
    """The source with what its columns are, where they are read one by one, and its target's classes."""
    parts, where = known.parts, known.first.where
    asked = asked_of_columns(parts, options)
    by_column = bool(asked) or (options.columns == "auto" and not known.sparse)
    if by_column or any(_tells(part) for part in parts):
        _check_columns(known.first, options)
        wishes = wishes_of(asked, where=f"{where}, kind")
        check_wished(wishes, (*(known.first.columns or ()), *options.drop), where)
        stay = {name for name, wish in wishes.items() if wish.asked}
        parts, left = without_identifiers(parts, {*stay, options.target or ""})
        columns = columns_of(parts, wishes)
        if asked != options.kind:
            columns = _target_explained(columns, parts[0].columns, options.target)
        known = known._replace(parts=parts, columns=columns, notes=(*known.notes, *left))
    if _is_column(options):
        known = known._replace(classes=classes_of_column(parts, known.columns, options))
    return known


def _target_explained(
    columns: tuple[Column, ...], names: Sequence[str] | None, target: str | None
) -> tuple[Column, ...]:
    """The columns, with why a target of few whole numbers has classes."""
    return tuple(
        replace(column, reason=f"a target of {len(column.names)} different values")
        if name == target
        else column
        for name, column in zip(names or (), columns, strict=True)
    )


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
            "a table with named columns", "one without",
            f"{in_python('a data frame, or ')}a CSV file with a header",
            where=f"{first.where}, columns",
        )  # fmt: skip


def _tells(rows: RawRows) -> bool:
    """Whether a table has columns of text or dates, which are read by the column."""
    return rows.names is not None or any(unit.form for unit in rows.units or ())


def _schema_of(
    known: _Source, name: str, request: Request, options: DataOptions
) -> tuple[Schema, tuple[str, ...]]:
    """The form of a row by all values, before any is converted, and notes of the support."""
    parts, first, how = known.parts, known.first, options.binarize
    kind = "table" if first.values.ndim == 2 else "image"
    inferred = Inferred("mixed", None)
    if not known.columns:
        inferred = infer_support(parts, kind, wish=options.support, intensities=how != "none")
    refuse_unbinarizable(inferred, how, first.where)
    schema = Schema(
        name=name,
        kind=kind,
        shape=first.values.shape[1:],
        support=inferred.support if how == "none" else "binary",
        levels=inferred.levels,
        columns=first.columns,
        label_name=first.label_name,
        classes=known.classes,
        binarize=how,
        dtype=options.dtype,
        kinds=known.columns,
        target=options.target,
        sparse=known.sparse,
        label_missing=label_codes(first, request.missing),
        class_words=words_of_classes(parts, known.classes, options),
        words=_words(parts) if inferred.support == "binary" else None,
    )
    return schema, inferred.notes


def _words(parts: Sequence[RawRows]) -> tuple[tuple[str, ...], ...] | None:
    """What a source writes for 0 and 1 in each column of a table; None where it has no words."""
    units = [part.units for part in parts if part.units is not None]
    found = tuple(next((u.words for u in own if u.words), ()) for own in zip(*units, strict=True))
    return found if any(found) else None


def _of_table(known: _Source, schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """The schema with what the columns of a dense table tell by all their values, and notes of it."""
    if schema.kind != "table" or schema.sparse:
        return schema, ()
    values = [part.values for part in known.parts]
    schema = replace(schema, whole=whole_columns(values, schema) or None)
    if schema.kinds is not None:
        return schema, ()
    whole = np.concatenate(values) if len(values) > 1 else values[0]
    schema = replace(schema, **grids_of(whole, schema))
    return schema, (*identifier_note(known.first, schema), *suspected_codes(whole, schema))


def _checked(known: _Source, number: int, schema: Schema, options: DataOptions) -> _Part:
    """A part by its number, with its labels as numbers, and binarized where that was asked for."""
    part = known.parts[number]
    check_values(part, schema)
    if schema.support == "real" and part.values.dtype != schema.dtype:
        refuse_rounding(moments_of(part.values, schema), part.where, schema)
    label = _label(part, schema, options)
    numbers = (part.numbers + known.offsets[number]).astype(np.int32)
    if schema.binarize == "none":
        return _Part(part.values, None, label, numbers)
    drawn = _drawn(part.values, schema, seed=options.split_seed, part=number)
    return _Part(part.values, drawn, label, numbers)


def _label(part: RawRows, schema: Schema, options: DataOptions) -> Shaped[np.ndarray, " N"] | None:
    """The labels of a part as numbers, which those of a target beside the columns are already."""
    if part.labels is None or _beside(options):
        return part.labels
    label = label_values(part, schema.classes, schema.dtype)
    if label is not None and label.dtype.kind == "f":
        refuse_blurred(part.labels, label, f"{part.where}, label '{part.label_name}'")
    return label


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


def _grey_checksum(parts: Sequence[_Part], schema: Schema) -> str:
    """Of the rows before zeros and ones are drawn of them."""

    def grey(values: Any) -> Callable[[np.ndarray], np.ndarray]:
        return lambda at: converted(values[at], schema, high=largest(values))

    return grey_checksum([grey(part.values) for part in parts], [part.numbers for part in parts])


def _dataset(
    part: _Part, rows: Int[np.ndarray, " M"], schema: Schema, *, training: bool
) -> Dataset:
    """Some rows of a part; training rows stay grey where every batch of them is drawn anew."""
    if part.drawn is None or (training and schema.binarize == "dynamic"):
        cells = _held(part.values, rows, schema)
    else:
        cells = part.drawn[rows]
    label = None if part.label is None else part.label[rows]
    return Dataset(cells=cells, mask=None, label=label, index=part.numbers[rows], schema=schema)


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


def _narrow(values: Shaped[np.ndarray, "..."]) -> bool:
    """Whether the values are whole numbers of 8 or 16 bits."""
    return values.dtype.kind in "iu" and values.dtype.itemsize <= 2


def _learned(train: Dataset, options: DataOptions) -> tuple[Schema, tuple[str, ...]]:
    """The schema with what training rows alone decide, shift, scale and constants, and notes of it."""
    schema, notes = train.schema, ()
    if options.standardize and schema.support == "real":
        shift, scale = shift_and_scale(moments_of(train.cells, schema))
        schema = replace(schema, shift=shift, scale=scale)
    if schema.kinds:
        kinds = standardised(train.x, schema.kinds)
        schema, notes = replace(schema, kinds=kinds), (kinds_note(kinds),)
    low, high = map(train.decoded, column_extremes(train.cells))
    varies = low != high
    schema = constant_columns(varies, low, schema)
    return schema, (*notes, *constant_note(varies, schema), *empty_note(np.isnan(low), schema))
