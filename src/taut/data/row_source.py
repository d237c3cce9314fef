"""`RowSource`: rows of one form, in memory or on disk, read by their positions.

    read(first, last)    neighbours, with one read
    take(positions)      any rows, in any order
    parts()              every row once, in order; memory is a stream of one part

Whoever passes over rows asks for no more than this, and so gives the same numbers for rows on disk as
for the same rows in memory. Positions count the rows of the source from 0; a row's number is its place
in the file or array that it came from.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from taut.data.schema import Schema
from taut.data.streams import Stream, distinct, philox

if TYPE_CHECKING:
    from taut.data.dataset import Dataset

__all__ = ["RowSource"]


@runtime_checkable
class RowSource(Protocol):
    """Rows with one schema, of which a part is in memory at a time.

    Attributes:
        schema: the form of one row.
    """

    schema: Schema

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def __getitem__(self, rows: slice | np.ndarray | list) -> "Dataset":
        """Some of the rows in memory, by a slice, row positions, or a boolean array."""
        ...

    def numbers(self, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The rows' numbers in the data that they came from."""
        ...

    def read(self, first: int, last: int) -> "Dataset":
        """Rows first, ..., last - 1."""
        ...

    def take(self, positions: Int[np.ndarray, " n"]) -> "Dataset":
        """Rows by their positions."""
        ...

    def parts(self) -> Iterator["Dataset"]:
        """Every row once, in order."""
        ...

    def sample(self, count: int, *, seed: int = 0) -> "Dataset":
        """`count` random rows in order of position, or all rows if there are fewer."""
        if count >= len(self):
            return self.read(0, len(self))
        chosen = distinct(philox(seed, Stream.SAMPLE), count, len(self))
        return self.take(np.sort(chosen))
