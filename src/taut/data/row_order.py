"""The order of rows that stay on disk: blocks at random, rows at random within a window of blocks.

Reading rows one at a time in a uniformly random order costs a seek each. Here N rows are cut into
blocks of R neighbours, and epoch e

    1. puts the blocks in an order beta_e, a uniformly random permutation keyed by (seed, e);
    2. cuts that order into windows of W blocks, the last of which may hold fewer;
    3. puts the rows of window w in an order pi_(e, w), a uniformly random permutation of them keyed by
       (seed, e, w).

The windows one after another are the epoch's order; batches are cut out of it as in `taut.data.batches`.
Random: which blocks share a window, the order of windows, and the order of the rows within one. Not
random: neighbours of one block stay in one window, so that the rows of a batch come from W blocks (2 W
where it runs over the end of a window) and not from anywhere. Data of at most W R rows are one window,
whose order is uniformly random.

Every row occurs once an epoch. The order is a function of (seed, epoch, N, R, W) alone.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from taut.data.streams import Stream, permutation, philox

__all__ = ["Piece", "RowOrder", "Window"]

_BLOCK_BYTES = 2**20  # read at once: enough that a seek costs little beside it
_WINDOW_BYTES = 2**26  # held at once
_MOST_BLOCKS = 64  # in a window


class Window(NamedTuple):
    """Some blocks of one epoch and the order of their rows.

    Attributes:
        epoch: e.
        number: w.
        ranges: first and last + 1 of the positions of each block.
    """

    epoch: int
    number: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Rows in the window."""
        return sum(last - first for first, last in self.ranges)


class Piece(NamedTuple):
    """Consecutive entries first, ..., last - 1 of the order of one window."""

    window: Window
    first: int
    last: int


class RowOrder(NamedTuple):
    """The order of N rows in every epoch.

    Attributes:
        num_rows: N.
        block_rows: R.
        window_blocks: W.
        seed: of all of it.
    """

    num_rows: int
    block_rows: int
    window_blocks: int
    seed: int

    @classmethod
    def for_rows(cls, num_rows: int, row_bytes: int, seed: int) -> "RowOrder":
        """Blocks of about 1 MiB and windows of at most 64 MiB, for rows of `row_bytes` each."""
        block = max(1, _BLOCK_BYTES // row_bytes)
        blocks = max(1, min(_MOST_BLOCKS, _WINDOW_BYTES // (block * row_bytes)))
        return cls(num_rows, block, blocks, seed)

    def pieces(self, epoch: int, first: int, last: int) -> Iterator[Piece]:
        """Where the entries first, ..., last - 1 of an epoch's order are found."""
        blocks = _block_order(self.seed, epoch, -(-self.num_rows // self.block_rows))
        # Whole windows hold W R rows; the one with the last block, which may be short, holds fewer.
        number = first // (self.window_blocks * self.block_rows)
        start = number * self.window_blocks * self.block_rows
        if (blocks[: number * self.window_blocks] == len(blocks) - 1).any():
            start -= len(blocks) * self.block_rows - self.num_rows
        while start < last:
            chosen = blocks[number * self.window_blocks : (number + 1) * self.window_blocks]
            window = Window(epoch, number, tuple(self._range(int(b)) for b in chosen))
            low, high = max(first - start, 0), min(last - start, window.size)
            if low < high:
                yield Piece(window, low, high)
            number, start = number + 1, start + window.size

    def within(self, window: Window) -> Int32[np.ndarray, " n"]:
        """The order of the rows of a window, as places in its blocks one after another."""
        per_epoch = -(-self.num_rows // (self.block_rows * self.window_blocks))
        position = window.epoch * per_epoch + window.number
        return permutation(philox(self.seed, Stream.WINDOW, position), window.size)

    def _range(self, block: int) -> tuple[int, int]:
        first = block * self.block_rows
        return first, min(first + self.block_rows, self.num_rows)


@lru_cache(maxsize=2)  # asked for once a dispatch
def _block_order(seed: int, epoch: int, num_blocks: int) -> np.ndarray:
    order = permutation(philox(seed, Stream.BLOCKS, epoch), num_blocks)
    order.flags.writeable = False
    return order
