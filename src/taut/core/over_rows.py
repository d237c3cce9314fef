"""One compiled program over all rows: blocks of one shape, each dispatched while the last is read.

    rows 0 .. N-1  ->  blocks of B rows, the last one filled up with row N-1  ->  results of the N rows

A program is compiled once for a shape, so the last block is padded and what comes out for its padding is
cut off here: nobody else sees it, and no mean can count it. Few rows, too, are filled up, to one of four
sizes for each doubling, so that a process which is given data of ever another size compiles no program
for each. The device holds two blocks at a time, however many rows there are.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32

from taut.core.datum import Datum, num_rows
from taut.core.devices import num_devices, share, whole
from taut.errors import InputError

__all__ = ["over_rows", "padded_block", "padded_size"]


def over_rows(
    program: Callable[[Datum, Int32[np.ndarray, " B"], np.int32], Any],
    rows: Datum,
    *,
    width: int,
    parts: int = 1,
    begin: int = 0,
) -> Iterator[Any]:
    """What a program returns for each row, block by block in the order of the rows.

    Arguments:
        program: from a block, the numbers of its rows in `rows` and the number of a part to arrays with
            the block's leading axis. Random draws are keyed by `key_of_row`, so that they do not depend
            on the blocks. It is called before its last results are read.
        rows: a batched datum of N rows, at least one.
        width: B, rows in a block; `padded_size` of N where that is less. More, where several devices
            share them, to the next number that these divide.
        parts: how often each block is given to the program before the next one, as parts 0, 1, ...
        begin: number of the first row, where a block begins.

    Yields:
        the results on the host: a pytree of (B, ...) arrays, fewer in the last block.

    Raises:
        InputError: a result without an entry for every row of the block.
    """
    num = num_rows(rows)
    width = -(-min(width, padded_size(num)) // num_devices()) * num_devices()

    def dispatched() -> Iterator[tuple[int, Any]]:
        for first in range(begin, num, width):
            block, numbers = share(padded_block(rows, first, width=width))
            for part in range(parts):
                yield min(width, num - first), program(block, numbers, np.int32(part))

    def read(kept: int, result: Any) -> Any:
        return jax.tree.map(lambda leaf: _of_rows(leaf, width)[:kept], whole(result))

    under_way = dispatched()
    ready = next(under_way)
    for following in under_way:
        yield read(*ready)
        ready = following
    yield read(*ready)


def padded_size(count: int) -> int:
    """The least of 1, 2, ..., 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ... that is not below a number."""
    step = 1 << max((count - 1).bit_length() - 3, 0)
    return -(-count // step) * step


def padded_block(rows: Datum, first: int, *, width: int) -> tuple[Datum, Int32[np.ndarray, " B"]]:
    """The rows from `first` on, filled up with the last one, and their numbers; B = `width` of them."""
    numbers = np.minimum(np.arange(first, first + width, dtype=np.int32), num_rows(rows) - 1)
    return jax.tree.map(lambda leaf: leaf[numbers], rows), numbers


def _of_rows(leaf: np.ndarray, width: int) -> np.ndarray:
    if leaf.shape[:1] != (width,):
        raise InputError(
            f"an entry for each of the {width} rows of a block, for those that fill it up are dropped",
            f"shape {leaf.shape}", "averaging over rows after all blocks", where="over_rows",
        )  # fmt: skip
    return leaf
