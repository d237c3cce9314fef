"""Numbers of rows that are kept as they are made, so that what was killed goes on.

    columns of rows 0 .. n-1 as they were kept, of rows n .. N-1 as they are made

What an algorithm asks for follows from its options, the rows and the key alone, and so does the order
in which it asks: a call is known by its place in that order, inside the parts that have names. Each
block of rows follows from the call alone, wherever a process was stopped, so that what goes on ends with
the same bytes. Where and when anything is written is the keeper's business; without one, nothing is.
"""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from taut.core.hosts import told_by_first

__all__ = ["AbstractKeeper", "clock", "keeping", "kept_rows", "part"]


class AbstractKeeper(ABC):
    """Where the numbers of rows are kept.

    Attributes:
        credited: seconds that was made took which was found and not made again.
    """

    credited: float = 0.0

    @abstractmethod
    def found(self, call: str) -> dict[str, np.ndarray]:
        """The columns of the first rows of a call, each with a leading axis; empty without any."""

    @abstractmethod
    def made(self, call: str, columns: Callable[[], dict[str, np.ndarray]]) -> None:
        """Called after every block.

        Arguments:
            call: its place in the order of calls.
            columns: makes what `found` would have to return.
        """


class _Keeping:
    """A keeper, and the place in the order of calls."""

    def __init__(self, keeper: AbstractKeeper):
        self.keeper, self.within, self._counts = keeper, "", {}

    def next(self, name: str) -> str:
        """The place of what comes next under a name."""
        place = f"{self.within}{name}"
        self._counts[place] = number = self._counts.get(place, -1) + 1
        return f"{place}.{number}"


_NOW: ContextVar[_Keeping | None] = ContextVar("taut_keeping", default=None)


@contextlib.contextmanager
def keeping(keeper: AbstractKeeper) -> Iterator[None]:
    """Keep the numbers of rows while the block runs."""
    token = _NOW.set(_Keeping(keeper))
    try:
        yield
    finally:
        _NOW.reset(token)


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """A part of an algorithm that may be left out: calls inside are counted by themselves."""
    now = _NOW.get()
    if now is None:
        yield
        return
    before, now.within = now.within, f"{now.next(name)}/"
    try:
        yield
    finally:
        now.within = before


def kept_rows(
    blocks: Callable[[int], Iterator[Mapping[str, Any]]], count: int
) -> dict[str, np.ndarray]:
    """The columns of all rows, each with a leading axis N.

    Arguments:
        blocks: from the number of the first row that is still to be made, where a block begins, to the
            columns of one block after the other.
        count: N.
    """
    now = _NOW.get()
    if now is None:
        return _joined([dict(block) for block in blocks(0)])
    call = now.next("rows")
    parts = [now.keeper.found(call)]
    first = len(next(iter(parts[0].values()), ()))
    if first < count:
        for block in blocks(first):
            parts.append({name: np.asarray(column) for name, column in block.items()})
            now.keeper.made(call, lambda: _joined(parts))
    return _joined(parts)


def clock() -> float:
    """Seconds that go by, on host 0, with those that was made took which is not made again."""
    now = _NOW.get()
    return told_by_first(time.perf_counter() + (0.0 if now is None else now.keeper.credited))


def _joined(parts: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    parts = [part for part in parts if part]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
