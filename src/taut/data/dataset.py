"""`Dataset`: rows in memory, with one schema. `Data`: three sources of rows and where they came from.

Arrays are NumPy arrays on the host; `x` is in the units that the schema describes. Rows of bytes or
16-bit whole numbers, and sparse ones, are held as their source holds them, and become `x` when it is
asked for: whoever passes over all rows does so by `parts`, and has one slab of them as real numbers at a
time. A plain slice is a view, also of memory-mapped rows; an array of row numbers copies those rows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, Shaped

from taut.core import Datum
from taut.data.checksum import data_checksum, untargeted_checksum
from taut.data.options import DataOptions
from taut.data.row_source import RowSource
from taut.data.schema import Schema
from taut.data.slabs import slabs
from taut.data.sparse_rows import SparseRows, selected
from taut.data.support import converted
from taut.errors import InputError, counted

__all__ = ["Data", "Dataset"]


@dataclass(frozen=True, eq=False)
class Dataset(RowSource):
    """Rows in memory, with one schema.

    Attributes:
        cells: the rows, (N, *shape): `x`, or the whole numbers of the source, or booleans for drawn
            zeros and ones; sparse as `SparseRows` of whole numbers.
        mask: True where a cell is observed, of the shape of `cells`; None when all are.
        label: (N,), int32 for classes and whole numbers, else of the dtype of `x`; None without. Of a
            target -1, or NaN, in rows that have none.
        index: the rows' numbers in their source, (N,), counted from 0.
        schema: the form of one row.
        unseen: cells whose category the schema does not have, read as missing on loading.

    Raises:
        InputError: an array whose shape does not fit the schema.
    """

    cells: Shaped[np.ndarray, "..."] | SparseRows
    mask: Bool[np.ndarray, "..."] | None
    label: Shaped[np.ndarray, "..."] | None
    index: Int32[np.ndarray, "..."]
    schema: Schema
    unseen: int = 0

    def __post_init__(self):
        num_rows = self.cells.shape[0] if self.cells.ndim else 0
        expected = {"cells": (num_rows, *self.schema.shape), "index": (num_rows,)}
        expected |= {"mask": expected["cells"], "label": (num_rows,)}
        for part, shape in expected.items():
            array = getattr(self, part)
            if array is not None and array.shape != shape:
                raise InputError(
                    f"shape {shape}",
                    f"{array.shape}",
                    "rows of the schema's shape",
                    where=f"dataset '{self.schema.name}', {part}",
                )

    def __len__(self) -> int:
        return self.cells.shape[0]

    @property
    def x(self) -> Float[np.ndarray, "N ..."]:
        """The rows, (N, *shape), float32 or float64, in the schema's units; made anew where `coded`."""
        if isinstance(self.cells, np.ndarray) and not self.coded:
            return self.cells
        x = np.empty(self.cells.shape, self.schema.dtype)
        for slab in slabs(x.shape):
            x[slab] = self.decoded(self.cells[slab])
        return x

    @property
    def coded(self) -> bool:
        """Whether the rows are held as whole numbers."""
        return self.cells.dtype.kind != "f"

    @property
    def sparse(self) -> bool:
        """Whether only the cells that are not zero are held."""
        return isinstance(self.cells, SparseRows)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of `x`."""
        own = self.schema if self.coded else self.cells
        return self.schema.size * np.dtype(own.dtype).itemsize

    def decoded(self, cells: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """`x` of cells as they are held."""
        if cells.dtype.kind == "f":
            return cells
        if cells.dtype == bool:
            return cells.astype(self.schema.dtype)
        return converted(cells, self.schema, high=math.inf)  # whole numbers are never shares

    def __repr__(self) -> str:
        return (
            f"Dataset({counted(len(self), 'row')} of {self.schema.name}, shape {self.schema.shape})"
        )

    def __getitem__(self, rows: slice | np.ndarray | list) -> "Dataset":
        """Some of the rows, by a slice (views), row positions, or a boolean array (copies)."""
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1 or rows.dtype.kind not in "biu":
                raise InputError(
                    "a slice, or a list of row positions or booleans",
                    f"a {rows.dtype} array of shape {rows.shape}",
                    "dataset[i : i + 1] for one row",
                    where=f"dataset '{self.schema.name}'",
                )
        return Dataset(
            cells=selected(self.cells, rows),
            mask=None if self.mask is None else self.mask[rows],
            label=None if self.label is None else self.label[rows],
            index=self.index[rows],
            schema=self.schema,
        )

    def numbers(self, positions: Int[np.ndarray, " n"]) -> Int32[np.ndarray, " n"]:
        """The rows' numbers in their source."""
        return self.index[positions]

    def read(self, first: int, last: int) -> "Dataset":
        """Rows first, ..., last - 1, as views."""
        return self[first:last]

    def take(self, positions: Int[np.ndarray, " n"]) -> "Dataset":
        """Rows by their positions, as copies."""
        return self[positions]

    def parts(self) -> Iterator["Dataset"]:
        """All rows, as one part, or slab by slab where they are held as whole numbers."""
        if not self.coded:
            yield self
            return
        for slab in slabs(self.cells.shape):
            yield self[slab]

    def datum(self, *, labelled: bool | None = None, sparse: bool = False) -> Datum:
        """All rows as one batch: a `Datum` whose parts have a leading axis over rows.

        Arguments:
            labelled: with their labels; None for all labels but those of a target, which a model may
                take for what is known of a row.
            sparse: x of sparse rows as `SparseRows`, which whoever takes rows of has dense.
        """
        labelled = self.schema.target is None if labelled is None else labelled
        kept = sparse and isinstance(self.cells, SparseRows)
        x = self.cells.astype(self.schema.dtype) if kept else self.x
        parts = {"x": x, "mask": self.mask, "index": self.index}
        return Datum(**parts, label=self.label if labelled else None)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in three parts.

    Attributes:
        train: what parameters are fitted to; on disk where they would fill memory.
        validation: what stopping and choices are decided on.
        test: what is reported.
        schema: the form of one row, the same object that each part holds.
        notes: what a reader should know of how the data were read, one sentence each.
        options: what they were loaded with, `stream` as it came out; with a source they load the same
            rows again.
        grey_checksum: of rows in memory before zeros and ones were drawn of them; empty of others.
    """

    train: RowSource
    validation: Dataset
    test: Dataset
    schema: Schema
    notes: tuple[str, ...] = ()
    options: DataOptions = field(default_factory=DataOptions)
    grey_checksum: str = ""

    def __repr__(self) -> str:
        schema = self.schema
        form = f"{schema.kind} of shape {schema.shape}, {schema.support}"
        return f"Data({schema.name}: {self.describe()}; {form})"

    @property
    def source(self) -> str | None:
        """The string that loads the data again; None for data that came in memory."""
        return self.options.source

    def parts(self) -> dict[str, RowSource]:
        """The three parts, by the words that messages have for them."""
        return {"training": self.train, "validation": self.validation, "test": self.test}

    @property
    def checksum(self) -> str:
        """Changes with the rows, not with their split or precision; see `taut.data.checksum`."""
        return data_checksum(self)

    @property
    def untargeted_checksum(self) -> str:
        """That of the rows without their target; empty where they have none."""
        return untargeted_checksum(self)

    def describe(self) -> str:
        """How many rows are which, in words."""
        held_out = f"{len(self.validation)} validation, {len(self.test)} test"
        return f"{len(self.train)} train, {held_out}"

    @property
    def streamed(self) -> bool:
        """True where the training rows stay on disk."""
        return not isinstance(self.train, Dataset)
