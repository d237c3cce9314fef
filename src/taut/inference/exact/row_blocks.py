"""Rows in blocks: the same interface for arrays in memory and `.npy` files larger than it.

A block is (chunks, rows of a chunk, *shape), padded with rows of weight 0, in float64; a compiled scan
over its chunks is what a pass over the data consists of. The number of rows of a chunk follows from how
many numbers the model holds for each.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import InputError
from taut.data.sources import open_npy

__all__ = ["Block", "Rows", "Spread"]

_CHUNK_CELLS = 2**18  # 2 MiB: what a core keeps near
_BLOCK_CELLS = 2**23  # 64 MiB of rows read from disk at a time


class Block(NamedTuple):
    """Padded rows on the device.

    Attributes:
        x: (chunks, rows, *shape).
        weight: 1 for a row, 0 for padding, (chunks, rows).
    """

    x: Float[Array, "M C ..."]
    weight: Float[Array, "M C"]


class Spread(NamedTuple):
    """What is known of each cell before a model is.

    Attributes:
        mean: of the row's shape, data units.
        variance: dividing by N.
        rounding: the variance that rounding of the values alone may cause.
    """

    mean: Float[np.ndarray, "..."]
    variance: Float[np.ndarray, "..."]
    rounding: Float[np.ndarray, "..."]


class Rows:
    """Rows to pass over: an array, or a `.npy` file that is read block by block.

    Arguments:
        source: (N, *shape) of numbers, or the path of a `.npy` file that holds them in C order.

    Raises:
        InputError: not such a file, no rows, or values that are not finite (found in the first pass).
    """

    def __init__(self, source: Any):
        self.path = Path(source) if isinstance(source, str | Path) else None
        if self.path is None:
            self._file, self._array = None, np.asarray(source)
            whole = self._array.shape
        else:
            self._file, self._array = open_npy(self.path), None
            whole = (self._file.num_rows, *self._file.shape)
        if len(whole) < 2 or whole[0] < 1 or 0 in whole:
            raise InputError(
                "at least one row of at least one cell", f"shape {whole}", "rows on the first axis",
                where=str(self.path or "rows"),
            )  # fmt: skip
        self.num_rows, self.shape = whole[0], whole[1:]
        self._resident: tuple[int, Block] | None = None
        self._spread: Spread | None = None

    @property
    def size(self) -> int:
        """Cells in a row."""
        return int(np.prod(self.shape))

    def read(self, first: int, last: int) -> Float[np.ndarray, "N ..."]:
        """Rows first, ..., last - 1 in float64."""
        if self._array is not None:
            return np.asarray(self._array[first:last], np.float64)
        assert self._file is not None
        return self._file.read(first, last).astype(np.float64)

    def take(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n ..."]:
        """Rows by their numbers."""
        if self._array is not None:
            return np.asarray(self._array[numbers], np.float64)
        return np.concatenate([self.read(i, i + 1) for i in np.asarray(numbers).tolist()])

    def blocks(self, width: int) -> Iterator[Block]:
        """All rows once, in order.

        Arguments:
            width: numbers that will be held for each row of a chunk.
        """
        chunk = min(max(1, _CHUNK_CELLS // max(width, self.size)), self.num_rows)
        if self._array is not None:
            # Kept on the device between passes.
            if self._resident is None or self._resident[0] != chunk:
                self._resident = (chunk, padded(self.read(0, self.num_rows), chunk))
            yield self._resident[1]
            return
        height = max(1, _BLOCK_CELLS // (chunk * self.size)) * chunk
        height = min(height, -(-self.num_rows // chunk) * chunk)
        for first in range(0, self.num_rows, height):
            last = min(first + height, self.num_rows)
            yield padded(self.read(first, last), chunk, num_chunks=height // chunk)

    def spread(self) -> Spread:
        """Mean and variance of every cell, from two passes.

        Raises:
            InputError: a value is not finite, or all rows are equal.
        """
        if self._spread is not None:
            return self._spread
        total, largest, first = np.zeros(self.shape), np.zeros(self.shape), 0
        for part in self._parts():
            bad = ~np.isfinite(part)
            if bad.any():
                place = np.argwhere(bad)[0]
                raise InputError(
                    "finite numbers", f"{part[tuple(place)]} in row {first + place[0]}",
                    "--missing drop-rows", where=str(self.path or "rows"),
                )  # fmt: skip
            total += part.sum(axis=0)
            largest = np.maximum(largest, np.abs(part).max(axis=0))
            first += len(part)
        mean = total / self.num_rows
        squares = np.zeros(self.shape)
        for part in self._parts():
            squares += ((part - mean) ** 2).sum(axis=0)
        rounding = (8 * np.finfo(np.float64).eps * largest) ** 2
        variance = squares / self.num_rows
        variance = np.where(variance > rounding, variance, 0.0)
        if not variance.any():
            raise InputError(
                "rows that differ", f"{self.num_rows} identical ones", "data with some variation",
                where=str(self.path or "rows"),
            )  # fmt: skip
        self._spread = Spread(mean, variance, rounding)
        return self._spread

    def _parts(self) -> Iterator[np.ndarray]:
        height = max(1, _BLOCK_CELLS // self.size)
        for first in range(0, self.num_rows, height):
            yield self.read(first, min(first + height, self.num_rows))


def padded(x: Float[np.ndarray, "N ..."], chunk: int, *, num_chunks: int | None = None) -> Block:
    """Rows cut into chunks; the padding repeats the first row, with weight 0."""
    count = num_chunks or -(-len(x) // chunk)
    missing = count * chunk - len(x)
    weight = np.concatenate([np.ones(len(x)), np.zeros(missing)])
    if missing:
        x = np.concatenate([x, np.broadcast_to(x[:1], (missing, *x.shape[1:]))])
    return Block(
        jnp.asarray(x.reshape(count, chunk, *x.shape[1:])),
        jnp.asarray(weight.reshape(count, chunk)),
    )
