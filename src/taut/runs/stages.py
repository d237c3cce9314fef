"""Stages of a fit on disk, beside the checkpoints of the loop and in their form.

    checkpoints/stage-0003-done-step-000000120.safetensors    the result of a stage
    checkpoints/stage-0004-step-000000060.safetensors         states inside the next, the newest two

States are kept by the numbers that the steps went through, never by the clock: seldom enough that
writing them costs a hundredth of the steps between, whatever their size.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from taut.inference.stages import AbstractStages
from taut.runs.checkpoint import restore_state, save_state

__all__ = ["KeptStages"]

_CELLS = 2**32  # between two states: seconds, where writing a small one takes a hundredth of one
_STEP = 2**22  # a step's at least: what its overhead costs
_WRITING = 2**14  # writing a number costs as much as going through 160

_T = TypeVar("_T")


class KeptStages(AbstractStages):
    """Stages that are kept in a run folder.

    Arguments:
        folder: of the checkpoints.
        fingerprint: of the data and options; what is kept of others is refused.
        stop: whether an interrupt is waiting.
    """

    def __init__(self, folder: Path, *, fingerprint: str, stop: Callable[[], bool]):
        self._folder, self._fingerprint, self._stop = folder, fingerprint, stop
        self._number = self._step = self._cells = 0

    def once(self, like: _T, compute: Callable[[], _T]) -> _T:
        self._step = self._cells = 0
        try:
            found = self._restored(like, f"{self._name}done-")
            if found is None:
                found = compute()
                self._save(found, f"{self._name}done-")
                for state in self._folder.glob(f"{self._name}step-*"):
                    state.unlink(missing_ok=True)
        finally:
            self._number += 1
        self._halt()
        return found

    def begun(self, like: Callable[[], _T]) -> _T | None:
        return self._restored(like(), self._name)

    def reached(self, state: Callable[[], Any], cells: int) -> None:
        self._step += 1
        self._cells += max(cells, _STEP)
        if self._stop() or (self._cells >= _CELLS and self._cells >= _WRITING * _numbers(state())):
            self._save(state(), self._name)
            self._cells = 0
        self._halt()

    @property
    def _name(self) -> str:
        return f"stage-{self._number:04d}-"

    def _restored(self, like: Any, of: str) -> Any:
        found = restore_state(self._folder, like, fingerprint=self._fingerprint, of=of)
        self.notes += found.notes
        self._step = found.step
        return found.state

    def _save(self, state: Any, of: str) -> None:
        save_state(self._folder, state, step=self._step, fingerprint=self._fingerprint, of=of)

    def _halt(self) -> None:
        if self._stop():
            raise KeyboardInterrupt("interrupted")


def _numbers(state: Any) -> int:
    return sum(np.size(leaf) for leaf in jax.tree.leaves(state))
