"""Missing cells: NaN, and numbers that stand for it. Left out of every density, refused, or their rows
dropped; infinite cells and empty labels have only the last two ways."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from taut.data.coded_cells import coded, uncoded
from taut.data.schema import Schema
from taut.data.sources.raw_rows import RawRows
from taut.data.sparse_rows import SparseRows
from taut.errors import InputError, counted, nearest, option

__all__ = [
    "Missing",
    "Tally",
    "check_missing",
    "dropped_for_note",
    "empty_note",
    "marked",
    "observed",
    "without_missing",
]

Missing = Literal["model", "refuse", "drop-rows"]
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


def observed(x: Float[np.ndarray, "..."], schema: Schema) -> Bool[np.ndarray, "..."] | None:
    """The mask of rows with NaN in missing cells, True where one is observed; None without holes."""
    return ~np.isnan(x) if schema.holes else None


def empty_note(empty: Bool[np.ndarray, "..."], schema: Schema) -> tuple[str, ...]:
    """A note of the columns of a table that no training row has a value of, which are True."""
    if schema.kind != "table" or not empty.any():
        return ()
    return (f"no training row has a value of {schema.named(np.flatnonzero(empty).tolist())}",)


def marked(rows: RawRows, codes: Sequence[float]) -> RawRows:
    """The rows with NaN where a cell holds a number that stands for a missing one."""
    if not len(codes):
        return rows
    values = uncoded(rows.values, codes, names=rows.names)
    whole = rows.whole or (values is not rows.values and rows.values.dtype.kind != "f")
    return replace(rows, values=values, whole=whole)


class Tally:
    """Missing cells of rows that come in parts.

    Attributes:
        num_rows: rows seen.
        num_cells: cells among them that have no value to go by: missing ones, or infinite ones alone
            where the missing ones are modelled.
        bad: numbers of the rows that have some.
        holes: cells that are modelled without.

    Arguments:
        where: the source, for messages.
        missing: what is done about them.
        codes: numbers that stand for a missing cell.
        absent: place of a column that the source does not have, whose cells are none to go by.
        empty: rows without any value are rows, too.
    """

    def __init__(
        self,
        where: str,
        missing: Missing,
        codes: Sequence[float] = (),
        absent: int | None = None,
        *,
        empty: bool = False,
    ):
        self.num_rows, self.num_cells = 0, 0
        self._where, self._missing, self._codes = where, missing, tuple(codes)
        self._without, self._empty = absent, empty
        self._bad: list[np.ndarray] = []
        self._places: list[str] = []
        self.holes, self._all_cells = 0, 0
        self._infinite: float | None = None

    def add(self, rows: RawRows) -> Bool[np.ndarray, " N"]:
        """Count those of some rows; True for the rows that are refused or dropped."""
        self.num_rows += len(rows)
        self._all_cells += rows.values.size
        label_kind = "i" if rows.labels is None else rows.labels.dtype.kind
        if rows.values.dtype.kind != "f" and label_kind not in "fU" and not self._codes:
            return np.zeros(len(rows), bool)  # whole numbers have no word for a missing one
        absent = _absent(rows, self._codes)
        if self._without is not None:
            absent[:, self._without] = False
        if self._missing == "model":
            values = _cells(rows)
            holes = np.isnan(values)
            self.holes += int(holes.sum())
            absent[:, :-1] &= ~holes
            if self._infinite is None and absent[:, :-1].any():
                self._infinite = float(values[absent[:, :-1]][0])
        bad_rows = np.asarray(absent.any(axis=1))
        if bad_rows.any():
            self.num_cells += int(absent.sum())
            numbers = np.flatnonzero(bad_rows)
            self._bad.append(numbers if rows.index is None else rows.index[numbers])
            first = np.argwhere(absent)[: _SHOWN - len(self._places)]
            last = absent.shape[1] - 1
            self._places += [_place(rows, int(r), int(c), last) for r, c in first]
        return bad_rows

    @property
    def bad(self) -> Int[np.ndarray, " n"]:
        return np.concatenate(self._bad) if self._bad else np.zeros(0, np.int64)

    def settle(self) -> tuple[str, ...]:
        """A note of how many cells are modelled without, or how many rows are to be dropped, if any.

        Raises:
            InputError: as `without_missing`.
        """
        count = len(self.bad)
        if self._missing == "model":
            return self._modelled(count)
        if not count:
            return ()
        if self._missing == "refuse":
            raise InputError(
                "a finite number in every cell and a label for every row",
                f"{counted(self.num_cells, 'missing or infinite cell')} in {counted(count, 'row')}, "
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

    def _modelled(self, bad: int) -> tuple[str, ...]:
        if bad:
            code = option("missing_codes", f"{self._infinite:g}") if self._infinite else None
            raise InputError(
                "a finite number or nothing in every cell, and a label for every row",
                f"{counted(self.num_cells, 'infinite cell or empty label')} in {counted(bad, 'row')}, "
                f"first {'; '.join(self._places)}",
                (f"{code}, which reads it as missing, or " if code else "")
                + option("missing", "drop-rows"),
                where=self._where,
            )
        if self.holes == self._all_cells and not self._empty:
            raise InputError(
                "at least one cell with a value", "missing ones alone", "another table",
                where=self._where,
            )  # fmt: skip
        if not self.holes:
            return ()
        some = "1 of" if self.holes == 1 else f"{self.holes:,} of"
        return (
            f"{self._where}: {some} {self._all_cells:,} cells {'is' if self.holes == 1 else 'are'} "
            "missing: densities are those of the other cells, exactly, unless the model says why",
        )


def without_missing(
    rows: RawRows,
    missing: Missing,
    codes: Sequence[float] = (),
    *,
    labelled: bool = True,
    absent: int | None = None,
    empty: bool = False,
) -> tuple[RawRows, tuple[str, ...]]:
    """Rows whose cells are all present, or NaN where `model` leaves them out, and a note of how many.

    Whole numbers that were labels beside empty ones are held as such.

    Arguments:
        rows: as their source holds them.
        missing: what is done about missing cells.
        codes: numbers that stand for one.
        labelled: every row needs a label, which may be missing of a target.
        absent: place of a column that the source does not have.
        empty: rows without any value are taken.

    Raises:
        InputError: cells that are to be refused, with their number and first places; no row left, or
            no cell.
    """
    if missing == "model":
        rows, codes = marked(rows, codes), ()
    tally = Tally(rows.where, missing, codes, absent, empty=empty)
    bad_rows = tally.add(rows if labelled else replace(rows, labels=None))
    note = tally.settle()
    if not bad_rows.any():
        return rows, note
    kept = rows.select(np.flatnonzero(~bad_rows))
    return (replace(kept, labels=_whole_again(rows, kept)) if labelled else kept), note


def dropped_for_note(rows: RawRows, target: str, codes: Sequence[float] = ()) -> tuple[str, ...]:
    """A note of how many rows lack nothing but a value of a target that is a column, if any do.

    Arguments:
        rows: of which those with missing cells are dropped.
        target: the column's name.
        codes: numbers that stand for a missing cell.
    """
    if target not in (rows.columns or ()):
        return ()
    absent = _absent(rows, codes)
    place = (rows.columns or ()).index(target)
    count = int((absent[:, place] & (absent.sum(axis=1) == 1)).sum())
    told = f"dropped {counted(count, 'row')} for the target '{target}' alone"
    return (f"{told}: target_as label learns from rows without one",) if count else ()


def _whole_again(rows: RawRows, kept: RawRows) -> Shaped[np.ndarray, " M"] | None:
    """The labels that are kept, as whole numbers where NaN beside them, for none, made them real."""
    before, labels = rows.labels, kept.labels
    if before is None or labels is None or labels.dtype.kind != "f" or not np.isnan(before).any():
        return labels
    whole = (labels == np.rint(labels)) & (np.abs(labels) <= np.iinfo(np.int32).max)
    return labels.astype(np.int64) if whole.all() else labels


def _absent(rows: RawRows, codes: Sequence[float]) -> Bool[np.ndarray, "N D"]:
    """True at missing cells, (N, cells + 1), the last for the label."""
    labels = np.zeros(len(rows), dtype=bool)
    if rows.labels is not None and rows.labels.dtype.kind == "f":
        labels = ~np.isfinite(rows.labels)
    elif rows.labels is not None and rows.labels.dtype.kind == "U":
        labels = rows.labels == ""
    values = _cells(rows)
    cells = ~np.isfinite(values)
    if (found := coded(values, codes, names=rows.names)) is not None:
        cells |= found
    return np.concatenate([cells, labels[:, None]], axis=1)


def _cells(rows: RawRows) -> np.ndarray:
    """The cells of each row in which one may be missing, (N, cells): of sparse rows none."""
    if isinstance(rows.values, SparseRows):
        return np.zeros((len(rows), 0))
    return rows.values.reshape(len(rows), -1)


def _place(rows: RawRows, row: int, cell: int, label: int) -> str:
    if cell == label:
        return f"{rows.place(row)}, label '{rows.label_name}'"
    return rows.place(row, [int(i) for i in np.unravel_index(cell, rows.values.shape[1:])])
