"""A target: the column that is to be predicted, of which some rows have no value.

    text, or at most 20 different whole numbers      classes: codes 0, 1, ..., C - 1, and -1 without one
    other numbers                                    numbers, and NaN without one

Numbers in text, at most 20 different ones, that have zeros in front are text: 007 and 7 are two classes.
A kind that was asked for decides otherwise: `categorical` and `binary` are classes, others numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from taut.data.coded_cells import uncoded
from taut.data.dataset import Dataset
from taut.data.kinds import Column, Wish
from taut.data.labels import class_name, held_labels, label_values, without_unseen
from taut.data.number_names import name_codes, number_name
from taut.data.options import DataOptions
from taut.data.rounding import refuse_blurred
from taut.data.schema import Schema
from taut.data.sources.dates import are_like_dates
from taut.data.sources.raw_rows import RawRows, Unit
from taut.data.sources.units import one_unit
from taut.data.sources.words import MISSING_WORDS, without_codes
from taut.data.wishes import wishes_of
from taut.errors import InputError, nearest, option

__all__ = [
    "UNLABELLED",
    "asked_of_columns",
    "check_target",
    "classes_of_column",
    "coded_columns",
    "has_label",
    "known_targets",
    "label_names",
    "labels_like",
    "target_absent",
    "target_classes",
    "target_of",
    "target_values",
    "targets",
    "with_target_column",
    "words_of_classes",
]

UNLABELLED = -1
"""The code of a row without a class."""

_MOST_CLASSES = 20  # whole numbers of more different values count or measure something
_CLASSES = ("categorical", "binary")


def target_classes(
    labels: Sequence[Shaped[np.ndarray, " N"]], *, kind: str | None, where: str
) -> tuple[str, ...] | None:
    """The classes that a target's values stand for, in order; None where they are numbers.

    Arguments:
        labels: the values in each part of a source: text, or numbers with NaN for none.
        kind: that was asked for; None for what the values look like.
        where: the source and its target, for messages.

    Raises:
        InputError: no value at all, one value alone, or an infinite one; many dates, or numbers with
            their unit, which text of classes is not.
    """
    text = any(part.dtype.kind == "U" for part in labels)
    if text:
        names = {class_name(v) for part in labels for v in part}
        found = sorted(name for name in names if name.lower() not in MISSING_WORDS)
        if kind not in _CLASSES and len(found) > _MOST_CLASSES:
            _refuse_measures(found, where)
        classes = True
    else:
        values = np.unique(np.concatenate([np.asarray(part, np.float64) for part in labels]))
        if np.isinf(values).any():
            raise InputError(
                "finite numbers", "an infinite one", "leaving its cell empty", where=where
            )
        values = values[~np.isnan(values)]
        whole = bool((values == np.rint(values)).all())
        classes = kind in _CLASSES if kind else whole and len(values) <= _MOST_CLASSES
        found = [number_name(v) for v in values]
    if len(found) < 2:
        got = f"'{found[0]}' in every row that has one" if found else "no row that has one"
        raise InputError(
            "a target of at least two different values", got, "another target, or more rows", where=where
        )  # fmt: skip
    return tuple(found) if classes else None


def _refuse_measures(texts: Sequence[str], where: str) -> None:
    """Refuse text that tells numbers, which a column is read by and a label is not."""
    unit = one_unit(texts)
    told = "dates" if are_like_dates(texts) else f"numbers in {unit}" if unit else ""
    if told:
        raise InputError(
            "classes, or numbers without a unit, as a target beside the columns",
            f"{len(texts)} {told}, such as '{texts[0]}'",
            f"{option('target_as', 'column')}, or the kind categorical for it", where=where,
        )  # fmt: skip


def target_values(
    labels: Shaped[np.ndarray, " N"], classes: Sequence[str] | None, dtype: str, *, where: str
) -> Shaped[np.ndarray, " N"]:
    """The codes of a target's classes, int32, or its numbers.

    Arguments:
        labels: text, or numbers with NaN for none.
        classes: as of `target_classes`.
        dtype: of numbers.
        where: the source and its target, for messages.

    Raises:
        InputError: text where values were numbers; a class that is none; a number that the dtype does
            not hold.
    """
    if classes is None:
        return _numbers(labels, dtype, where)
    names = [class_name(value) for value in labels]
    codes = name_codes(names, classes)
    for name in (names[row] for row in np.flatnonzero(codes < 0)):
        if name.lower() not in MISSING_WORDS:
            raise InputError("a known class", f"'{name}'", nearest(name, classes), where=where)
    return np.where(codes < 0, UNLABELLED, codes).astype(np.int32)


def _numbers(labels: Shaped[np.ndarray, " N"], dtype: str, where: str) -> Shaped[np.ndarray, " N"]:
    """The labels as numbers, which text is only where it says that there are none."""
    if labels.dtype.kind != "U":
        return held_labels(labels, dtype, where)
    for text in labels:
        if text.strip().lower() not in MISSING_WORDS:
            raise InputError("a number", f"'{text}'", "numbers, as at the fit", where=where)
    return np.full(len(labels), np.nan, dtype)


def has_label(label: Shaped[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Which rows have a target."""
    return label != UNLABELLED if label.dtype.kind == "i" else ~np.isnan(label)


def label_names(rows: Dataset) -> Any:
    """The labels of rows to be shown, None without one: of a target the names of classes."""
    label, classes = rows.label, rows.schema.class_names
    coded = rows.schema.target is None
    if label is None or classes is None or (coded and has_label(label).all()):
        return label
    shown = range(len(classes)) if coded else classes
    return [None if code == UNLABELLED else shown[code] for code in label.tolist()]


def target_of(rows: Dataset) -> Shaped[np.ndarray, " N"] | None:
    """The target's classes or numbers in rows, -1 or NaN where they have none; None without labels."""
    schema, place = rows.schema, rows.schema.place_of_target
    if place is None:
        return rows.label
    values = rows.x[:, place]
    if schema.classes is None:
        return values.astype(np.float64)
    if schema.kinds is not None and schema.kinds[place].names:
        return np.where(np.isnan(values), UNLABELLED, np.nan_to_num(values)).astype(np.int32)
    return target_values(values.astype(np.float64), schema.classes, "float64", where=schema.name)


def known_targets(rows: Any) -> tuple[np.ndarray, Any]:
    """The places of the rows that have a target, and its values."""
    label = target_of(rows)
    known = np.zeros(len(rows), bool) if label is None else has_label(label)
    at = np.flatnonzero(known)
    return at, None if label is None else label[at]


def targets(
    parts: Sequence[RawRows], options: DataOptions
) -> tuple[list[RawRows], tuple[str, ...] | None]:
    """Rows whose labels are a target, as codes of classes or numbers, and the classes.

    Raises:
        InputError: a source without labels; as of `target_classes`; numbers that the dtype rounds
            together.
    """
    first = parts[0]
    if first.labels is None:
        raise InputError(
            "a source with labels, or named columns, for a target", "none",
            f"leaving out {option('target')}", where=first.where,
        )  # fmt: skip
    where = f"{first.where}, target '{first.label_name}'"
    found = [_without_codes(part.labels, options.missing_codes) for part in parts]
    classes = target_classes(found, kind=_asked_kind(options), where=where)
    coded = [target_values(labels, classes, options.dtype, where=where) for labels in found]
    if classes is None:
        for labels, held in zip(found, coded, strict=True):
            refuse_blurred(labels.astype(np.float64), held, where)
    return [
        replace(part, labels=labels) for part, labels in zip(parts, coded, strict=True)
    ], classes


def check_target(options: DataOptions, *, on_disk: bool) -> None:
    """Refuse rows on disk, whose labels are left out, and a role without a target."""
    if options.target is None and options.target_as != "label":
        raise InputError(
            f"{option('target')} with {option('target_as')}", "none",
            f"the name of a column as {option('target')}", where=option("target_as"),
        )  # fmt: skip
    if options.target is not None and on_disk:
        raise InputError(
            "rows in memory, where there is a target", "rows that stay on disk",
            option("stream", "no"), where=option("target"),
        )  # fmt: skip


def asked_of_columns(parts: Sequence[RawRows], options: DataOptions) -> tuple[str, ...]:
    """`column=kind` that decides how columns are read: none of labels, but one of a target of classes
    among numbers.

    Raises:
        InputError: a target that is no column.
    """
    if options.target is None or options.target_as == "label":
        beside = _beside(parts[0], options)
        return tuple(text for text in options.kind if beside not in wishes_of([text], where="kind"))
    if _asked_reading(options) or options.support is not None:
        return options.kind
    place = _column_of(parts, options.target)
    others = [np.delete(part.values, place, axis=1) for part in parts]
    counted = all(((o == np.rint(o)) | np.isnan(o)).all() for o in others)
    text = any(part.names is not None for part in parts)
    classes = None if counted and not text else _classes_of(parts, options)
    if (
        classes is None
        or set(classes) == {"0", "1"}
        or any(p.names and p.names[place] for p in parts)
    ):
        return options.kind
    return (*options.kind, f"{options.target}=categorical")


def coded_columns(options: DataOptions) -> dict[str, float]:
    """Columns and labels whose numbers are names where zeros stand in front, as of `Request.coded`."""
    asked = {name: wish.asked for name, wish in wishes_of(options.kind, where="kind").items()}
    found = {name: math.inf for name, kind in asked.items() if kind == "categorical"}
    if options.label is not None:
        found[options.label] = math.inf
    if options.target is not None and asked.get(options.target) is None:
        found[options.target] = float(_MOST_CLASSES)
    return found


def classes_of_column(
    parts: Sequence[RawRows], columns: Sequence[Column] | None, options: DataOptions
) -> tuple[str, ...] | None:
    """The classes of a target that is one of the columns; None where it is a number.

    Raises:
        InputError: a target that is no column, or has one value.
    """
    classes = _classes_of(parts, options)
    if columns is None:
        return classes
    own = columns[_column_of(parts, options.target)]
    return own.names or (("0", "1") if own.kind == "binary" else None)


def words_of_classes(
    parts: Sequence[RawRows], classes: Sequence[str] | None, options: DataOptions
) -> tuple[str, ...]:
    """What a source writes for the classes 0 and 1 of a target; nothing where that is these numbers."""
    if options.target is None or classes is None or tuple(classes) != ("0", "1"):
        return ()
    if parts[0].label_name == options.target:
        return parts[0].label_words
    place = _column_of(parts, options.target)
    return next((p.units[place].words for p in parts if p.units and p.units[place].words), ())


def labels_like(
    rows: RawRows, schema: Schema, codes: Sequence[float], *, unseen: str = "refuse"
) -> tuple[Shaped[np.ndarray, " N"] | None, int]:
    """The labels of more rows for a schema, -1 or NaN where they may be missing and are.

    Arguments:
        unseen: what to do about classes that the schema does not have: `refuse` them, or read them as
            `missing`, as are empty labels then.

    Returns:
        the labels, and how many of them were of such a class.

    Raises:
        InputError: as of `label_values`, or of `target_values`.
    """
    labels, classes = rows.labels, schema.classes
    known = classes if unseen == "missing" else None
    if labels is None or (known is None and schema.target is None):
        return label_values(rows, classes, schema.dtype), 0
    labels, new = _without_codes(labels, codes), 0
    if known is not None:
        labels, new = without_unseen(labels, known)
    where = f"{rows.where}, target '{schema.target}'"
    return target_values(labels, classes, schema.dtype, where=where), new


def target_absent(rows: RawRows, schema: Schema) -> int | None:
    """The place of a target that is a column which these rows do not have; else None."""
    own = schema.place_of_target
    return None if rows.columns is None or len(rows.columns) == schema.size else own


def with_target_column(rows: RawRows, schema: Schema) -> RawRows:
    """Rows of which the target's column may be absent, with that column empty where it is."""
    place = target_absent(rows, schema)
    if place is None:
        return rows
    names = None if rows.names is None else [*rows.names]
    units = None if rows.units is None else [*rows.units]
    if names is not None:
        names.insert(place, None)
    if units is not None:
        units.insert(place, Unit())
    return replace(
        rows,
        values=np.insert(rows.values.astype(np.float64), place, np.nan, axis=1),
        columns=schema.columns,
        names=names and tuple(names),
        units=units and tuple(units),
    )


def _classes_of(parts: Sequence[RawRows], options: DataOptions) -> tuple[str, ...] | None:
    place = _column_of(parts, options.target)
    dated = any(part.units and part.units[place].form for part in parts)
    found = []
    for part in parts:
        values, names = part.values[:, place], part.names and part.names[place]
        known = ~np.isnan(np.asarray(values, np.float64))
        texts = names and [names[int(v)] if k else "" for v, k in zip(values, known, strict=True)]
        found.append(np.array(texts, dtype=str) if texts else values)
    where = f"{parts[0].where}, target '{options.target}'"
    return target_classes(found, kind="real" if dated else _asked_kind(options), where=where)


def _column_of(parts: Sequence[RawRows], target: str | None) -> int:
    columns, where = parts[0].columns, parts[0].where
    if columns is None:
        raise InputError(
            "a table with named columns, of which the target is one", "one without",
            f"a data frame, a CSV file with a header, or {option('target_as', 'label')}", where=where,
        )  # fmt: skip
    if target not in columns:
        raise InputError(
            "a target among the columns", f"'{target}'", nearest(str(target), columns), where=where
        )
    return columns.index(target)


def _beside(rows: RawRows, options: DataOptions) -> str | None:
    """The name of the labels, unless it is that of a column as well."""
    asked = options.label or options.target
    return rows.label_name if asked or rows.label_name not in (rows.columns or ()) else None


def _asked(options: DataOptions) -> Wish | None:
    """What is said of the target among what is said of columns."""
    return wishes_of(options.kind, where="kind").get(options.target or "")


def _asked_reading(options: DataOptions) -> bool:
    """Whether more is said of the target than which cells are missing."""
    asked = _asked(options)
    return asked is not None and replace(asked, missing=()) != Wish()


def _asked_kind(options: DataOptions) -> str | None:
    asked = _asked(options)
    return asked and asked.kind


def _without_codes(labels: Shaped[np.ndarray, " N"] | None, codes: Sequence[float]) -> np.ndarray:
    assert labels is not None  # parts have labels alike
    if labels.dtype.kind != "U":
        return uncoded(labels, codes)
    return without_codes(labels, tuple(map(number_name, codes)))
