"""`StreamedRows`: training rows that stay on disk, and the rows that steps see, gathered from there.

What is held at a time is a window of blocks (see `taut.data.row_order`) and what the caller asked for.
The rows left out of training (held out, or with missing cells) are known by their sorted numbers
e_0 < e_1 < ...; training row p is row p + #{i : e_i - i <= p} of the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Int32, Int64

from taut.data.batches import steps_per_epoch
from taut.data.binarize import binarized
from taut.data.coded_cells import uncoded
from taut.data.dataset import Dataset
from taut.data.missing import observed
from taut.data.row_order import Piece, RowOrder, Window
from taut.data.row_source import RowSource
from taut.data.schema import Schema
from taut.data.sources import RowFile
from taut.data.support import converted

__all__ = ["Gatherer", "StreamedRows"]

_PART_BYTES = 2**22  # of rows that a pass reads at a time


@dataclass(frozen=True, eq=False)
class StreamedRows(RowSource):
    """Training rows in a file, in the order of the file.

    Indexing reads the rows asked for into memory, as a `Dataset`.

    Attributes:
        file: all rows of the source, of the schema's shape.
        left_out: sorted numbers of the rows that are not trained on.
        schema: the form of one row.
        high: the largest value of the source.
        seed: of a static binarization.
        dtype: of `x`.
        codes: numbers that stand for a missing cell.
    """

    file: RowFile
    left_out: Int64[np.ndarray, " n"]
    schema: Schema
    high: float
    seed: int
    dtype: str
    codes: tuple[float, ...] = ()

    def __len__(self) -> int:
        return self.file.num_rows - len(self.left_out)

    @property
    def label(self) -> None:
        """There is none: labels of rows on disk are left out."""
        return None

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of `x`."""
        return self.schema.size * np.dtype(self.dtype).itemsize

    def __getitem__(self, rows: slice | np.ndarray | list) -> Dataset:
        """Some of the rows, by a slice, row positions, or a boolean array; read into memory."""
        return self.take(np.arange(len(self))[rows])

    def numbers(self, positions: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The rows' numbers in the file."""
        return positions + np.searchsorted(self._trained_before, positions, side="right")

    @cached_property
    def _trained_before(self) -> Int64[np.ndarray, " n"]:
        """e_i - i: how many training rows come before each row that is left out."""
        return self.left_out - np.arange(len(self.left_out))

    def read(self, first: int, last: int) -> Dataset:
        """Rows first, ..., last - 1, with one read."""
        if first == last:
            return self.take(np.zeros(0, np.int64))
        numbers = self.numbers(np.arange(first, last))
        start, end = int(numbers[0]), int(numbers[-1]) + 1
        values = uncoded(self.file.read(start, end), self.codes)
        # Training rows stay grey where every batch of them is drawn anew.
        how = "none" if self.schema.binarize == "dynamic" else self.schema.binarize
        if end - start == last - first:
            x = converted(values, self.schema, high=self.high)
            x = binarized(x, how, seed=self.seed, first_row=start)
        else:
            kept = numbers - start
            rows = converted(values[kept], self.schema, high=self.high)
            x = rows
            if how != "none":
                # The draws of a row follow from its place in the file: rows left out keep theirs.
                whole = np.zeros(values.shape, rows.dtype)
                whole[kept] = rows
                x = binarized(whole, how, seed=self.seed, first_row=start)[kept]
        return self._dataset(x.astype(self.dtype, copy=False), numbers.astype(np.int32))

    def take(self, positions: Int[np.ndarray, " n"]) -> Dataset:
        """Rows by their positions, read into memory; runs of neighbours with one read each."""
        positions = np.asarray(positions)
        x = np.empty((len(positions), *self.schema.shape), self.dtype)
        index = np.empty(len(positions), np.int32)
        ends = [*(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        start = 0
        for end in ends:
            if end > start:
                rows = self.read(int(positions[start]), int(positions[end - 1]) + 1)
                x[start:end], index[start:end] = rows.x, rows.index
            start = end
        return self._dataset(x, index)

    def parts(self) -> Iterator[Dataset]:
        """All rows once, a few MiB at a time."""
        height = max(1, _PART_BYTES // self.row_bytes)
        for first in range(0, len(self), height):
            yield self.read(first, min(first + height, len(self)))

    def _dataset(self, x: np.ndarray, index: np.ndarray) -> Dataset:
        return Dataset(
            cells=x, mask=observed(x, self.schema), label=None, index=index, schema=self.schema
        )


class Gatherer:
    """The rows of consecutive steps, for one thread at a time.

    Arguments:
        rows: the training rows.
        batch_size: B.
        seed: of the order.
    """

    def __init__(self, rows: StreamedRows, batch_size: int, seed: int):
        self._rows, self._batch_size = rows, batch_size
        self._order = RowOrder.for_rows(len(rows), rows.row_bytes, seed)
        self._per_epoch = steps_per_epoch(len(rows), batch_size)
        self._held: tuple[Window, np.ndarray, np.ndarray, np.ndarray] | None = None

    def gather(
        self, first_step: int, num_steps: int
    ) -> tuple[Float[np.ndarray, "n ..."], Int32[np.ndarray, " n"]]:
        """The rows of steps first_step, ..., first_step + num_steps - 1, B after B, and their numbers.

        Any way of cutting a range of steps into calls gives the same rows.
        """
        rows, batch = self._rows, self._batch_size
        x = np.empty((num_steps * batch, *rows.schema.shape), rows.dtype)
        index = np.empty(num_steps * batch, np.int32)
        done = 0
        for piece in self._pieces(first_step, num_steps):
            held_x, held_index, within = self._window(piece.window)
            wanted = within[piece.first : piece.last]
            target = slice(done, done + len(wanted))
            # The positions are in bounds; any mode but `raise` lets NumPy write without a copy.
            np.take(held_x, wanted, axis=0, out=x[target], mode="clip")
            np.take(held_index, wanted, out=index[target], mode="clip")
            done += len(wanted)
            del held_x, held_index  # so that one window is freed before the next is read
        return x, index

    def _pieces(self, first_step: int, num_steps: int) -> Iterator[Piece]:
        done = 0
        while done < num_steps:
            epoch, step = divmod(first_step + done, self._per_epoch)
            count = min(self._per_epoch - step, num_steps - done)
            yield from self._order.pieces(
                epoch, step * self._batch_size, (step + count) * self._batch_size
            )
            done += count

    def _window(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, numbers and order of a window, which stays until another is asked for."""
        held = self._held
        if held is None or (held[0].epoch, held[0].number) != (window.epoch, window.number):
            self._held = held = None  # freed before the next one is read
            x = np.empty((window.size, *self._rows.schema.shape), self._rows.dtype)
            index = np.empty(window.size, np.int32)
            start = 0
            for first, last in window.ranges:
                block = slice(start, start + last - first)
                rows = self._rows.read(first, last)
                x[block], index[block] = rows.x, rows.index
                start += last - first
            self._held = held = (window, x, index, self._order.within(window))
        return held[1], held[2], held[3]
