"""Labels as numbers: whole numbers as they are, text as positions in a list of class names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Shaped

from taut.data.coded_cells import uncoded
from taut.data.number_names import name_codes, number_name
from taut.data.sources.raw_rows import RawRows, Request
from taut.data.sources.words import MISSING_WORDS, numbers_among, without_codes
from taut.errors import InputError, nearest, option

__all__ = [
    "class_name",
    "class_names",
    "held_labels",
    "label_codes",
    "label_values",
    "with_empty_labels",
    "without_unseen",
]


def class_names(parts: Sequence[RawRows]) -> tuple[str, ...] | None:
    """The distinct labels of all parts in alphabetical order where they are text, else None."""
    texts = [p.labels for p in parts if p.labels is not None and p.labels.dtype.kind == "U"]
    return tuple(str(c) for c in np.unique(np.concatenate(texts))) if texts else None


def class_name(value: str | np.number) -> str:
    """What a label calls its class: text without blanks around it, or a number as it is written."""
    return value.strip() if isinstance(value, str) else number_name(value)


def label_codes(rows: RawRows, missing: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The codes of labels that stand for none; a name that a column has as well is that of the column.

    Arguments:
        rows: with or without labels.
        missing: such codes, by the names of columns and labels.
    """
    name = rows.label_name
    return () if name is None or name in (rows.columns or ()) else missing.get(name, ())


def with_empty_labels(rows: RawRows, request: Request) -> RawRows:
    """Rows whose labels are empty, or NaN, where they are a code or a word for a missing one.

    Arguments:
        rows: with or without labels.
        request: what the source was asked for, with the codes of all cells and of those of a name.
    """
    labels, codes = rows.labels, (*label_codes(rows, request.missing), *request.codes)
    if labels is None:
        return rows
    if labels.dtype.kind != "U":
        return replace(rows, labels=uncoded(labels, numbers_among(codes)))
    cells = np.char.lower(np.char.strip(labels))
    given = np.where(np.isin(cells, MISSING_WORDS), "", labels)
    return replace(rows, labels=without_codes(given, codes))


def label_values(
    rows: RawRows, classes: Sequence[str] | None, dtype: str
) -> Shaped[np.ndarray, " N"] | None:
    """Labels as int32 (whole numbers, positions in `classes`) or `dtype` (real numbers).

    Arguments:
        rows: rows with or without labels.
        classes: the names that text labels stand for, and numbers that spell them, as 7 does 007; None
            where labels are numbers.
        dtype: the dtype of real labels.

    Raises:
        InputError: text where labels were numbers; a name that is no class; a whole
            number that int32 does not hold; another that the dtype does not hold.
    """
    labels = rows.labels
    if labels is None:
        return None
    where = f"{rows.where}, label '{rows.label_name}'"
    text = labels.dtype.kind == "U"
    if classes is not None:
        names = labels.tolist() if text else [number_name(value) for value in labels]
        codes = name_codes(names, classes)
        for row in np.flatnonzero(codes < 0).tolist():
            raise InputError(
                "a known class",
                f"'{names[row]}'",
                nearest(names[row], classes),
                where=f"{where}, {rows.place(row)}",
            )
        return codes.astype(np.int32)
    if text:
        raise InputError(
            "numbers, as in the other rows", f"labels of dtype {labels.dtype}", "labels of one kind",
            where=where,
        )  # fmt: skip
    if labels.dtype.kind == "f":
        return held_labels(labels, dtype, where)
    bounds = np.iinfo(np.int32)
    if labels.min() < bounds.min or labels.max() > bounds.max:
        raise InputError(
            "whole numbers that fit 32 bits",
            f"{labels.min()} to {labels.max()}",
            f"another label, or dropping the column ({option('drop')})",
            where=where,
        )
    return labels.astype(np.int32)


def without_unseen(
    labels: Shaped[np.ndarray, " N"], classes: Sequence[str]
) -> tuple[Shaped[np.ndarray, " N"], int]:
    """Labels without those that are none of the classes, and how many these were."""
    names = [class_name(value) for value in labels]
    empty = np.array([name.lower() in MISSING_WORDS for name in names], bool)
    new = (name_codes(names, classes) < 0) & ~empty
    return np.where(new, "" if labels.dtype.kind == "U" else np.nan, labels), int(new.sum())


def held_labels(
    labels: Shaped[np.ndarray, " N"], dtype: str, where: str
) -> Float[np.ndarray, " N"]:
    """Labels that are numbers, in a type.

    Raises:
        InputError: a number that the type does not hold.
    """
    with np.errstate(over="ignore"):
        held = labels.astype(dtype)
    if (lost := np.isinf(held) & np.isfinite(labels)).any():
        raise InputError(
            f"a number that {dtype} holds", f"{labels[lost][0]:g}", option("precision", "float64"),
            where=where,
        )  # fmt: skip
    return held
