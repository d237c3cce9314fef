"""Columns that tell rows apart and say nothing else of them.

    whole numbers from 0 or 1 that rise from row to row, or are 1, 2, ..., N in some order
    text that differs in every row, six words long on average at most

Where columns are read one by one these are left out, and a note says so. A table that is read as alike
keeps them, with a note: a row of a matrix may begin with the hour. Of rows that are seen part by part
those that rise are noted.
"""

from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Shaped

from taut.data.schema import Schema
from taut.data.sources.raw_rows import RawRows

__all__ = ["Rising", "identifier_note", "rising_note", "without_identifiers"]

_COUNTED = 20  # rows: fewer different numbers in order may be chance
_WORDS = 6.0  # more are prose
_SPARSE = 2  # rows that were dropped leave gaps in what numbers them


def without_identifiers(
    parts: Sequence[RawRows], kept: Container[str]
) -> tuple[list[RawRows], tuple[str, ...]]:
    """Parts of a source without the columns that tell rows apart, and a note of each.

    Arguments:
        parts: tables with named columns.
        kept: names of columns that stay.
    """
    names = parts[0].columns or ()
    found = {
        i: why
        for i, name in enumerate(names)
        if name not in kept and (why := _telling(parts, i)) is not None
    }
    if not found or len(found) == len(names):
        return list(parts), ()
    notes = [
        f"column '{names[i]}' is left out: {why} (kind {names[i]}={kind} keeps it)"
        for i, (why, kind) in found.items()
    ]
    stay = [i for i in range(len(names)) if i not in found]
    return [_with_columns(part, stay) for part in parts], tuple(notes)


def _telling(parts: Sequence[RawRows], i: int) -> tuple[str, str] | None:
    """Why a column tells rows apart, and the kind that it could have; None for another one."""
    values = np.concatenate([part.values[:, i] for part in parts]).astype(np.float64)
    if len(values) < _COUNTED or np.isnan(values).any():
        return None
    texts = [own for part in parts if part.names is not None and (own := part.names[i])]
    if len(texts) == len(parts):
        cells = [
            own[int(v)] for own, part in zip(texts, parts, strict=True) for v in part.values[:, i]
        ]
        words = sum(len(cell.split()) for cell in cells) / len(cells)
        named = len(set(cells)) == len(cells) and words <= _WORDS
        return ("its text differs in every row", "categorical") if named else None
    if texts or any(part.units is not None and any(part.units[i]) for part in parts):
        return None
    if values.min() not in (0, 1) or values.max() >= _SPARSE * len(values):
        return None
    return ("it numbers the rows", "count") if _numbers_rows(values) else None


def _with_columns(rows: RawRows, stay: Sequence[int]) -> RawRows:
    def only(fields: tuple | None) -> tuple | None:
        return None if fields is None else tuple(fields[i] for i in stay)

    names = only(rows.names)
    return replace(
        rows, values=rows.values[:, stay], columns=only(rows.columns), units=only(rows.units),
        names=names if any(names or ()) else None,
    )  # fmt: skip


def identifier_note(rows: RawRows, schema: Schema) -> tuple[str, ...]:
    """A note of the columns of a table that number its rows."""
    x = rows.values
    if not _may_number(len(x), schema):
        return ()
    return _note([i for i in range(x.shape[1]) if _numbers_rows(x[:, i])], schema)


class Rising:
    """The columns whose whole numbers rise from row to row, of rows that come part by part in order.

    Attributes:
        num_rows: rows seen.
        columns: True for such columns, (D,); None before any row.
    """

    def __init__(self):
        self.num_rows = 0
        self.columns: Bool[np.ndarray, " D"] | None = None
        self._last: np.ndarray | None = None

    def add(self, x: Shaped[np.ndarray, "N D"]) -> None:
        """Some more rows."""
        found = (x == np.rint(x)).all(axis=0) & (x[1:] > x[:-1]).all(axis=0)
        if self._last is not None:
            found &= self.columns & (x[0] > self._last)
        self.num_rows, self.columns, self._last = self.num_rows + len(x), found, x[-1].copy()


def rising_note(rising: Rising, schema: Schema) -> tuple[str, ...]:
    """As `identifier_note`, of rows that were seen part by part."""
    if rising.columns is None or not _may_number(rising.num_rows, schema):
        return ()
    return _note(np.flatnonzero(rising.columns).tolist(), schema)


def _may_number(num_rows: int, schema: Schema) -> bool:
    return schema.support in ("real", "count") and num_rows >= _COUNTED


def _note(rising: Sequence[int], schema: Schema) -> tuple[str, ...]:
    if not rising:
        return ()
    it = "them" if len(rising) > 1 else "it"
    return (
        "whole numbers that rise from row to row, as identifiers do: "
        f"{schema.named(rising)} (drop leaves {it} out)",
    )


def _numbers_rows(column: Shaped[np.ndarray, " N"]) -> bool:
    """Whether all values are whole, and rise from row to row or are those of a count in some order."""
    if not (column == np.rint(column)).all():
        return False
    counted = column.max() - column.min() == len(column) - 1 and len(np.unique(column)) == len(
        column
    )
    return bool((np.diff(column) > 0).all() or counted)
