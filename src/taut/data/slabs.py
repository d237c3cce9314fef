"""Rows of an array a few at a time: what is worked out of them takes no more memory than a slab does."""

import math
from collections.abc import Iterator, Sequence

__all__ = ["slabs"]

_CELLS = 2**21  # 16 MiB of float64


def slabs(shape: Sequence[int]) -> Iterator[slice]:
    """Slices of consecutive rows of an array of this shape, all of them together."""
    height = max(1, _CELLS // max(math.prod(shape[1:]), 1))
    for first in range(0, shape[0], height):
        yield slice(first, min(first + height, shape[0]))
