"""`RawRows`: what a source hands over, before anything is decided about it.

A source reads numbers and names and refuses what it cannot read. What the numbers mean (their
support, their grid, which are missing) is the business of the layer above.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from taut.data.sparse_rows import selected
from taut.errors import InputError, counted, nearest

__all__ = [
    "RawRows",
    "Request",
    "Unit",
    "check_form",
    "more_such_cells",
    "native",
    "numeric_rows",
    "refuse_columns",
    "take_label",
]


class Unit(NamedTuple):
    """What the numbers of a column count or measure, as its cells say.

    Attributes:
        name: that stood beside each of them, such as % or kg.
        form: of dates, which are seconds since the beginning of 1970, as `strftime` has it.
        words: that stood for 0 and 1, such as false and true.
    """

    name: str = ""
    form: str = ""
    words: tuple[str, ...] = ()


class Request(NamedTuple):
    """What the caller asks of a source.

    Attributes:
        label: the column, or the other array of one file, that holds labels.
        drop: columns that are not data.
        keep: the columns of an existing schema in their order; all others are ignored, and the
            label is taken where it is present.
        optional: those of `keep` that a source may lack.
        rows_only: True when labels are welcome but not required.
        decimal: the decimal mark of text, or `auto` for what its numbers show.
        forms: of dates, by the columns that have had them.
        missing: cells that stand for a missing one, by column.
        codes: numbers that stand for a missing cell in every column, as text may spell them.
        worded: columns whose dates are names, which are not counted from the first.
        coded: columns and labels whose numbers are names where zeros stand in front of some of them, and
            of how many different ones at most.
        stay: columns that are asked for, whatever they seem to be.
    """

    label: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    rows_only: bool = False
    decimal: str = "auto"
    forms: Mapping[str, str] = MappingProxyType({})
    missing: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    codes: tuple[str, ...] = ()
    worded: tuple[str, ...] = ()
    coded: Mapping[str, float] = MappingProxyType({})
    stay: tuple[str, ...] = ()

    def empty(self, name: str) -> tuple[str, ...]:
        """The cells of a column of text that stand for a missing one."""
        return (*self.missing.get(name, ()), *self.codes)


@dataclass(frozen=True, eq=False)
class RawRows:
    """Rows as their source holds them.

    Attributes:
        values: (N, ...), booleans, whole or real numbers, or `SparseRows` of them; NaN where a cell
            is missing.
        where: the file or object, for messages.
        columns: names of the columns of a table; None where there are none.
        labels: (N,) numbers or strings; None without.
        label_name: what the labels are.
        lines: line of each row in its text file, (N,), counted from 1; None elsewhere.
        index: number of each row in its source, (N,), counted from 0; None for 0..N - 1.
        notes: what a reader should know of how the rows were read.
        names: of each column, the texts that its values count through, in alphabetical order; None for a
            column of numbers, and where all are.
        units: of each column, as far as its cells say them; None for arrays, whose cells say nothing.
        label_words: that stood for the labels 0 and 1, such as false and true.
        whole: the source's cells are whole numbers, though `values` are real to hold NaN among them.
    """

    values: Any
    where: str
    columns: tuple[str, ...] | None = None
    labels: Shaped[np.ndarray, " N"] | None = None
    label_name: str | None = None
    label_words: tuple[str, ...] = ()
    lines: Shaped[np.ndarray, " N"] | None = None
    index: Shaped[np.ndarray, " N"] | None = None
    notes: tuple[str, ...] = ()
    whole: bool = False
    names: tuple[tuple[str, ...] | None, ...] | None = None
    units: tuple[Unit, ...] | None = None

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def numbers(self) -> Int[np.ndarray, " N"]:
        """Number of each row in its source."""
        return np.arange(len(self)) if self.index is None else self.index

    def place(self, row: int, cell: Sequence[int] = ()) -> str:
        """A row, or a cell of it, in words."""
        if self.lines is not None:
            text = f"line {self.lines[row]}"
        else:
            text = f"row {row if self.index is None else self.index[row]}"
        if not len(cell):
            return text
        if self.columns is not None:
            return f"{text}, column '{self.columns[cell[0]]}'"
        if len(cell) == 1:
            return f"{text}, column {cell[0]}"
        return f"{text}, pixel ({', '.join(str(c) for c in cell)})"

    def select(self, rows: Shaped[np.ndarray, " M"]) -> "RawRows":
        """Some of the rows, which keep their numbers."""
        return replace(
            self,
            values=selected(self.values, rows),
            labels=None if self.labels is None else self.labels[rows],
            lines=None if self.lines is None else self.lines[rows],
            index=self.numbers[rows],
        )


def numeric_rows(values: Any, where: str) -> np.ndarray:
    """An array of rows in this machine's byte order, halves widened to float32, NaN where it is masked.

    Raises:
        InputError: as `check_form`.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values)
    values = np.asarray(values)
    check_form(values.shape, values.dtype, where)
    return values.astype(native(values.dtype), copy=False)


def _unmasked(values: np.ma.MaskedArray) -> np.ndarray:
    """The values, with NaN, a missing cell, under the mask."""
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    kept: Any = values if values.dtype.kind == "f" else values.astype(np.float64)
    return np.asarray(kept.filled(np.nan))


def native(dtype: np.dtype) -> np.dtype:
    """The type that numbers are worked on in: this machine's byte order, float32 or float64."""
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64)
    return dtype.newbyteorder("=")


def check_form(shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Refuse an array that holds no rows of numbers.

    Raises:
        InputError: objects, strings, complex numbers, dates; a rank below 2 or above 4; no rows.
    """
    if dtype.kind not in "biuf":
        kinds = {"O": "objects", "U": "text", "S": "text", "c": "complex numbers", "V": "records"}
        got = kinds.get(dtype.kind, "dates or durations")
        raise InputError(
            "an array of booleans, whole or real numbers",
            f"{got} (dtype {dtype})",
            "converting it to numbers first",
            where=where,
        )
    if len(shape) not in (2, 3, 4):
        raise InputError(
            "rank 2 (rows, columns), 3 (rows, height, width) or 4 (rows, height, width, channels)",
            f"rank {len(shape)}, shape {shape}",
            "reshaping it so that the first axis runs over rows",
            where=where,
        )
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 2, 3, 4):
        raise InputError(
            "channels last: (rows, height, width, channels)",
            f"shape {shape}, which looks like channels first",
            "np.moveaxis(x, 1, -1)",
            where=where,
        )
    if 0 in shape:
        raise InputError(
            "at least one row and one column", f"shape {shape}", "another file", where=where
        )


def more_such_cells(others: int) -> str:
    """What follows the first cell that is refused: ` (2 more such cells)`, or nothing."""
    return f" ({counted(others, 'more such cell')})" if others else ""


def refuse_columns(request: Request, where: str, labels: Iterable[str] = ()) -> None:
    """Refuse names of columns where the source has none, and a label that is not in `labels`."""
    if request.drop:
        raise InputError(
            "no columns to drop, as the source names none",
            f"drop {', '.join(request.drop)}",
            "a table with named columns",
            where=where,
        )
    labels = list(labels)
    if request.label is not None and request.label not in labels and not request.rows_only:
        raise InputError(
            f"a label among {', '.join(labels)}"
            if labels
            else "no label, as the source names none",
            f"'{request.label}'",
            nearest(request.label, labels) if labels else "a table with named columns",
            where=where,
        )


def take_label(labels: Any, num_rows: int, where: str) -> np.ndarray:
    """An array of labels as (N,), refused unless there is one number or string for each row."""
    labels = np.asarray(labels)
    if labels.size == num_rows and labels.ndim <= 2:
        labels = labels.reshape(num_rows)
    if labels.shape != (num_rows,) or labels.dtype.kind not in "biufU":
        raise InputError(
            f"{num_rows} labels, numbers or text, one for each row",
            f"a {labels.dtype} array of shape {labels.shape}",
            "another label",
            where=where,
        )
    return labels
