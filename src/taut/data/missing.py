"""Missing cells: NaN and infinite values, and labels that are empty. Refused, or their rows dropped."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int

from taut.data.missing_codes import coded
from taut.data.sources.raw_rows import RawRows
from taut.errors import InputError, nearest, option

__all__ = ["Missing", "Tally", "check_missing", "without_missing"]

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


class Tally:
    """Missing cells of rows that come in parts.

    Attributes:
        num_rows: rows seen.
        num_cells: missing cells among them.
        bad: numbers of the rows that have some.

    Arguments:
        where: the source, for messages.
        codes: numbers that stand for a missing cell.
    """

    def __init__(self, where: str, codes: Sequence[float] = ()):
        self.num_rows, self.num_cells = 0, 0
        self._where, self._codes = where, tuple(codes)
        self._bad: list[np.ndarray] = []
        self._places: list[str] = []

    def add(self, rows: RawRows) -> Bool[np.ndarray, " N"]:
        """Count those of some rows; True for the rows that have one."""
        self.num_rows += len(rows)
        label_kind = "i" if rows.labels is None else rows.labels.dtype.kind
        if rows.values.dtype.kind != "f" and label_kind not in "fU" and not self._codes:
            return np.zeros(len(rows), bool)  # whole numbers have no word for a missing one
        absent = _absent(rows, self._codes)
        bad_rows = np.asarray(absent.any(axis=1))
        if bad_rows.any():
            self.num_cells += int(absent.sum())
            numbers = np.flatnonzero(bad_rows)
            self._bad.append(numbers if rows.index is None else rows.index[numbers])
            first = np.argwhere(absent)[: _SHOWN - len(self._places)]
            self._places += [_place(rows, int(r), int(c)) for r, c in first]
        return bad_rows

    @property
    def bad(self) -> Int[np.ndarray, " n"]:
        return np.concatenate(self._bad) if self._bad else np.zeros(0, np.int64)

    def settle(self, missing: Missing) -> tuple[str, ...]:
        """A note of how many rows are to be dropped, if any are.

        Raises:
            InputError: as `without_missing`.
        """
        count = len(self.bad)
        if not count:
            return ()
        if missing == "refuse":
            raise InputError(
                "a finite number in every cell and a label for every row",
                f"{_many(self.num_cells, 'missing or infinite cell')} in {_many(count, 'row')}, "
                f"first {'; '.join(self._places)}",
                option("missing", "drop-rows"),
                where=self._where,
            )
        if count == self.num_rows:
            raise InputError(
                "at least one row without missing cells",
                f"none of {self.num_rows}",
                f"dropping the columns that are mostly missing ({option('drop')})",
                where=self._where,
            )
        return (
            f"{self._where}: dropped {count} of {self.num_rows} rows, which have missing cells",
        )


def without_missing(
    rows: RawRows, missing: Missing, codes: Sequence[float] = ()
) -> tuple[RawRows, tuple[str, ...]]:
    """Rows with every cell present, and a note of how many were dropped; `codes` stand for missing ones.

    Raises:
        InputError: missing cells that are to be refused, with their number and first places; no
            row left.
    """
    tally = Tally(rows.where, codes)
    bad_rows = tally.add(rows)
    note = tally.settle(missing)
    return (rows.select(np.flatnonzero(~bad_rows)) if note else rows), note


def _absent(rows: RawRows, codes: Sequence[float]) -> Bool[np.ndarray, "N D"]:
    """True at missing cells, (N, cells + 1), the last for the label."""
    labels = np.zeros(len(rows), dtype=bool)
    if rows.labels is not None and rows.labels.dtype.kind == "f":
        labels = ~np.isfinite(rows.labels)
    elif rows.labels is not None and rows.labels.dtype.kind == "U":
        labels = rows.labels == ""
    values = rows.values.reshape(len(rows), -1)
    cells = ~np.isfinite(values)
    if (found := coded(values, codes)) is not None:
        cells |= found
    return np.concatenate([cells, labels[:, None]], axis=1)


def _place(rows: RawRows, row: int, cell: int) -> str:
    shape = rows.values.shape[1:]
    if cell == int(np.prod(shape)):
        return f"{rows.place(row)}, label '{rows.label_name}'"
    return rows.place(row, [int(i) for i in np.unravel_index(cell, shape)])


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")
