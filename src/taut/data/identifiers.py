"""Columns that tell rows apart and say nothing else of them.

    whole numbers from 0 or 1 that rise from row to row, or are 1, 2, ..., N in some order
    text that differs in every row, six words long on average at most

Where columns are read one by one these are left out, and a note says so. A table that is read as alike
keeps them, with a note: a row of a matrix may begin with the hour.
"""

from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt64

from taut.data.grids import may_be_whole
from taut.data.schema import Schema
from taut.data.slabs import slabs
from taut.data.sources.raw_rows import RawRows

__all__ = ["Numbering", "identifier_note", "numbering_note", "without_identifiers"]

_COUNTED = 20  # rows: fewer different numbers in order may be chance
_WORDS = 6.0  # more are prose
_SPARSE = 2  # rows that were dropped leave gaps in what numbers them
_EXACT = 2.0**53  # whole numbers below are one number each in float64
_CHUNK = 2**20  # numbers of a count that are mixed together


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
    numbering = Numbering()
    numbering.add(values[:, None])
    return ("it numbers the rows", "count") if numbering.columns.any() else None


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
    numbering = Numbering()
    if _may_number(len(rows), schema):
        for slab in slabs(rows.values.shape):
            numbering.add(rows.values[slab])
    return numbering_note(numbering, schema)


class Numbering:
    """The columns that number rows which come part by part in order.

    Their whole numbers rise from row to row, or are those of a count m, m + 1, ..., m + N - 1 in some
    order. That each of these comes once is known by a sum over 64-bit hashes, which other numbers have
    with probability 2^-64.

    Attributes:
        num_rows: rows seen.
    """

    def __init__(self):
        self.num_rows = 0
        self._rise = self._count = np.ones(0, bool)
        self._low = self._high = self._last = np.zeros(0)
        self._hashes = np.zeros(0, np.uint64)

    def add(self, x: Shaped[np.ndarray, "N D"]) -> None:
        """Some more rows."""
        if not self.num_rows:
            self._begin(x.shape[1])
        self.num_rows += len(x)
        live = may_be_whole(x, np.flatnonzero(self._rise | self._count))
        live = live[(x[:, live] == np.rint(x[:, live])).all(axis=0)]
        values = x[:, live].astype(np.float64)
        self._low[live] = np.minimum(self._low[live], values.min(axis=0))
        self._high[live] = np.maximum(self._high[live], values.max(axis=0))
        whole = np.zeros(x.shape[1], bool)
        whole[live] = True
        self._rise &= whole
        self._rise[live] &= (values[0] > self._last[live]) & (values[1:] > values[:-1]).all(axis=0)
        self._last[live] = values[-1]
        exact = (self._low > -_EXACT) & (self._high < _EXACT)
        room = np.subtract(self._high, self._low, where=exact, out=np.zeros(len(exact))) + 1
        self._count &= whole & (room >= self.num_rows)  # else a number came twice
        at = self._count[live]
        self._hashes[live[at]] += _hashed(values[:, at].astype(np.int64))

    @property
    def columns(self) -> Bool[np.ndarray, " D"]:
        """True for columns that number the rows, (D,); (0,) before any row."""
        found = self._rise.copy()
        for i in np.flatnonzero(self._count & ~found).tolist():
            found[i] = self._high[i] - self._low[i] == self.num_rows - 1 and self._is_count(i)
        return found

    def _begin(self, num_columns: int) -> None:
        self._rise, self._count = np.ones(num_columns, bool), np.ones(num_columns, bool)
        self._low, self._high = np.full(num_columns, np.inf), np.full(num_columns, -np.inf)
        self._last = np.full(num_columns, -np.inf)
        self._hashes = np.zeros(num_columns, np.uint64)

    def _is_count(self, i: int) -> bool:
        """Whether the hashes of a column add up to those of all numbers between its ends."""
        wanted, first, last = np.zeros(1, np.uint64), int(self._low[i]), int(self._high[i])
        for start in range(first, last + 1, _CHUNK):
            wanted += _hashed(np.arange(start, min(start + _CHUNK, last + 1))[:, None])
        return bool(wanted[0] == self._hashes[i])


def numbering_note(numbering: Numbering, schema: Schema) -> tuple[str, ...]:
    """As `identifier_note`, of rows that were seen part by part."""
    if not _may_number(numbering.num_rows, schema):
        return ()
    return _note(np.flatnonzero(numbering.columns).tolist(), schema)


def _may_number(num_rows: int, schema: Schema) -> bool:
    return schema.support in ("real", "count") and num_rows >= _COUNTED


def _note(numbers: Sequence[int], schema: Schema) -> tuple[str, ...]:
    if not numbers:
        return ()
    it = "them" if len(numbers) > 1 else "it"
    return (
        "whole numbers that rise from row to row or come once each, as identifiers do: "
        f"{schema.named(numbers)} (drop leaves {it} out)",
    )


def _hashed(values: Int[np.ndarray, "N D"]) -> UInt64[np.ndarray, " D"]:
    """The sum over rows of a hash of each number, modulo 2^64: the finalizer of SplitMix64.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators (OOPSLA 2014), figure
    16.
    """
    bits = values.astype(np.int64).view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (bits ^ (bits >> np.uint64(31))).sum(axis=0)
