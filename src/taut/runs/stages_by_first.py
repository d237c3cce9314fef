"""Stages that host 0 keeps for all hosts.

Hosts go together through a stage that was not kept, as they share its rows, and all go on from what host
0 found: the same bits, whatever their processors round.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from taut.core.devices import on_one
from taut.core.hosts import bytes_of_first, told_by_all, told_by_first, writes
from taut.inference.stages import AbstractStages
from taut.runs.checkpoint import packed_state, unpacked_state

__all__ = ["StagesByFirst"]

_T = TypeVar("_T")


class StagesByFirst(AbstractStages):
    """What host 0 keeps of stages, on each of the hosts.

    Arguments:
        stages: of host 0; the others keep nothing.
        deferred: puts a signal off while the block runs, and says whether one was `made`: it ends all
            hosts after the stage.
    """

    def __init__(
        self, stages: AbstractStages, *, deferred: Callable[[], AbstractContextManager[Any]]
    ):
        self._stages, self._deferred = stages, deferred

    def once(self, like: _T, compute: Callable[[], _T]) -> _T:
        with self._deferred() as interrupt:
            found = _of_first(self._made(like, compute), like)
            self.notes = self._stages.notes
            if told_by_all(interrupt.made).any():
                raise KeyboardInterrupt("interrupted")
        return found

    def begun(self, like: Callable[[], _T]) -> _T | None:
        found = self._stages.begun(like)
        return _of_first(found, like()) if told_by_first(found is not None) else None

    def reached(self, state: Callable[[], Any], cells: int) -> None:
        self._stages.reached(state, cells)

    def _made(self, like: _T, compute: Callable[[], _T]) -> _T:
        """The result on host 0, as it was kept or made by all hosts; on the others of that form."""
        told = False

        def together() -> _T:
            nonlocal told
            told = bool(told_by_first(True))
            return on_one(compute())

        if writes():
            found = self._stages.once(like, together)
            if not told:
                told_by_first(False)
            return found
        return on_one(compute()) if told_by_first(False) else like


def _of_first(state: _T, like: _T) -> _T:
    """A state as host 0 has it, whatever the others give."""
    content = packed_state(state if writes() else ())
    return unpacked_state(bytes_of_first(content), like)
