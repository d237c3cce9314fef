"""Missing cells: NaN and infinite values, and labels that are empty. Refused, or their rows dropped."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool

from taut.data.sources.rows import Rows
from taut.errors import InputError, nearest

__all__ = ["Missing", "check_missing", "without_missing"]

Missing = Literal["refuse", "drop-rows"]
_SHOWN = 3  # places that a message lists


def check_missing(missing: str) -> None:
    """Refuse a word that names no treatment of missing cells."""
    if missing not in get_args(Missing):
        raise InputError(
            f"one of {', '.join(get_args(Missing))}",
            f"'{missing}'",
            nearest(missing, get_args(Missing)),
            where="missing",
        )


def without_missing(rows: Rows, missing: Missing) -> tuple[Rows, tuple[str, ...]]:
    """Rows with every cell present, and a note of how many were dropped.

    Raises:
        InputError: missing cells that are to be refused, with their number and first places; no
            row left.
    """
    label_kind = "i" if rows.labels is None else rows.labels.dtype.kind
    if rows.values.dtype.kind != "f" and label_kind not in "fU":
        return rows, ()  # whole numbers have no word for a missing one
    absent = _absent(rows)
    bad_rows = absent.any(axis=1)
    if not bad_rows.any():
        return rows, ()
    if missing == "refuse":
        places = [_place(rows, int(r), int(c)) for r, c in np.argwhere(absent)[:_SHOWN]]
        raise InputError(
            "a finite number in every cell and a label for every row",
            f"{_many(int(absent.sum()), 'missing or infinite cell')} in "
            f"{_many(int(bad_rows.sum()), 'row')}, first {'; '.join(places)}",
            "--missing drop-rows",
            where=rows.where,
        )
    if bad_rows.all():
        raise InputError(
            "at least one row without missing cells",
            f"none of {len(rows)}",
            "dropping the columns that are mostly missing (--drop)",
            where=rows.where,
        )
    note = f"{rows.where}: dropped {bad_rows.sum()} of {len(rows)} rows, which have missing cells"
    return rows.select(np.flatnonzero(~bad_rows)), (note,)


def _absent(rows: Rows) -> Bool[np.ndarray, "N D"]:
    """True at missing cells, (N, cells + 1), the last for the label."""
    labels = np.zeros(len(rows), dtype=bool)
    if rows.labels is not None and rows.labels.dtype.kind == "f":
        labels = ~np.isfinite(rows.labels)
    elif rows.labels is not None and rows.labels.dtype.kind == "U":
        labels = rows.labels == ""
    cells = ~np.isfinite(rows.values.reshape(len(rows), -1))
    return np.concatenate([cells, labels[:, None]], axis=1)


def _place(rows: Rows, row: int, cell: int) -> str:
    shape = rows.values.shape[1:]
    if cell == int(np.prod(shape)):
        return f"{rows.place(row)}, label '{rows.label_name}'"
    return rows.place(row, [int(i) for i in np.unravel_index(cell, shape)])


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")
