"""Rows in blocks: what a pass over a row source, in memory or on disk, gives to a compiled program.

A block is (chunks, rows of a chunk, *shape), padded with rows of weight 0, in float64; a compiled scan
over its chunks is what a pass over the data consists of. The number of rows of a chunk follows from how
many numbers the model holds for each.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import InputError, option
from taut.data import RESOLVED_ROWS, ColumnMoments, Dataset, RowSource, resolution

__all__ = ["Block", "RowBlocks", "Spread"]

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
        variance: dividing by N; 0 exactly where the cell is constant.
        rounding: the variance that rounding of the values alone may cause.
        least: the variance that the resolution of the values leaves unknown, and at least `rounding`.
    """

    mean: Float[np.ndarray, "..."]
    variance: Float[np.ndarray, "..."]
    rounding: Float[np.ndarray, "..."]
    least: Float[np.ndarray, "..."]


class RowBlocks:
    """Rows to pass over, in float64.

    Arguments:
        rows: a row source, or an array (N, *shape) of numbers.
        where: what the rows are, for messages.

    Raises:
        InputError: no rows, or values that are not finite (found in the first pass).
    """

    def __init__(self, rows: RowSource | np.ndarray, where: str = "rows"):
        if isinstance(rows, Dataset):
            rows = rows.x
        self._rows: RowSource | np.ndarray = rows
        whole = rows.shape if isinstance(rows, np.ndarray) else (len(rows), *rows.schema.shape)
        if len(whole) < 2 or whole[0] < 1 or 0 in whole:
            raise InputError(
                "at least one row of at least one cell", f"shape {whole}", "rows on the first axis",
                where=where,
            )  # fmt: skip
        self.num_rows, self.shape, self.where = whole[0], whole[1:], where
        self._resident: tuple[int, Block] | None = None
        self._spread: Spread | None = None

    @property
    def size(self) -> int:
        """Cells in a row."""
        return int(np.prod(self.shape))

    def read(self, first: int, last: int) -> Float[np.ndarray, "N ..."]:
        """Rows first, ..., last - 1."""
        if isinstance(self._rows, np.ndarray):
            return np.asarray(self._rows[first:last], np.float64)
        return np.asarray(self._rows.read(first, last).x, np.float64)

    def take(self, positions: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n ..."]:
        """Rows by their positions."""
        if isinstance(self._rows, np.ndarray):
            return np.asarray(self._rows[positions], np.float64)
        return np.asarray(self._rows.take(positions).x, np.float64)

    def blocks(self, width: int) -> Iterator[Block]:
        """All rows once, in order.

        Arguments:
            width: numbers that will be held for each row of a chunk.
        """
        chunk = min(max(1, _CHUNK_CELLS // max(width, self.size)), self.num_rows)
        if isinstance(self._rows, np.ndarray):
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
        """What is known of every cell, from one pass.

        Raises:
            InputError: a value is not finite, or all rows are equal.
        """
        if self._spread is not None:
            return self._spread
        moments = ColumnMoments(self.size)
        for part in self._parts():
            bad = ~np.isfinite(part)
            if bad.any():
                place = np.argwhere(bad)[0]
                raise InputError(
                    "finite numbers", f"{part[tuple(place)]} in row {moments.count + place[0]}",
                    option("missing", "drop-rows"), where=self.where,
                )  # fmt: skip
            moments.add(part)
        if not moments.varies.any():
            raise InputError(
                "rows that differ", f"{self.num_rows} identical ones", "data with some variation",
                where=self.where,
            )  # fmt: skip
        largest = np.maximum(np.abs(moments.low), np.abs(moments.high))
        rounding = (8 * np.finfo(np.float64).eps * largest) ** 2
        mean = np.where(moments.varies, moments.mean, moments.low)
        variance = np.where(moments.varies, moments.variance, 0.0)
        few = min(self.num_rows, RESOLVED_ROWS)
        chosen = np.random.default_rng(0).choice(self.num_rows, few, replace=False)
        least = resolution(self.take(np.sort(chosen))).ravel() ** 2 / 12
        found = (mean, variance, rounding, np.maximum(least, rounding))
        self._spread = Spread(*(a.reshape(self.shape) for a in found))
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
        # Not jnp.asarray, which compiles a program for each shape.
        jax.device_put(x.reshape(count, chunk, *x.shape[1:])),
        jax.device_put(weight.reshape(count, chunk)),
    )
