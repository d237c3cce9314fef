"""A keeper of rows in memory, and one that has the first of them, as after a stop."""

from collections.abc import Callable

import numpy as np

from taut.core.kept_rows import AbstractKeeper


class FirstKept(AbstractKeeper):
    """What is made; found are so many rows of what another keeper has, none without one."""

    def __init__(self, before: "FirstKept | None" = None, first: int = 0):
        self.columns: dict[str, dict[str, np.ndarray]] = {}
        self._before, self._first = before, first

    def found(self, call: str) -> dict[str, np.ndarray]:
        if self._before is None:
            return {}
        return {name: made[: self._first] for name, made in self._before.columns[call].items()}

    def made(self, call: str, columns: Callable[[], dict[str, np.ndarray]]) -> None:
        self.columns[call] = columns()
