"""Numbers of rows that host 0 keeps for all hosts.

Every host makes them all, as shares are gathered; what was kept is told to the others, so that all go on
from the same row.
"""

from collections.abc import Callable

import numpy as np

from taut.core.hosts import bytes_of_first
from taut.core.kept_rows import AbstractKeeper
from taut.runs.kept_rows import KeptRows
from taut.runs.packed import packed, unpacked

__all__ = ["KeptByFirst"]


class KeptByFirst(AbstractKeeper):
    """What host 0 keeps, on each of the hosts.

    Arguments:
        keeper: of host 0; None on the others.
    """

    def __init__(self, keeper: KeptRows | None):
        self._keeper = keeper

    def found(self, call: str) -> dict[str, np.ndarray]:
        own = {}
        if self._keeper is not None:
            own = self._keeper.found(call)
            self.credited = self._keeper.credited  # on host 0, whose clock decides
        return unpacked(bytes_of_first(packed(own))).arrays

    def made(self, call: str, columns: Callable[[], dict[str, np.ndarray]]) -> None:
        if self._keeper is not None:
            self._keeper.made(call, columns)

    def save(self) -> bool:
        """Write what is not written yet; whether this host keeps anything."""
        return self._keeper is not None and self._keeper.save()

    def drop(self) -> None:
        """Remove everything: the command has ended."""
        if self._keeper is not None:
            self._keeper.drop()
