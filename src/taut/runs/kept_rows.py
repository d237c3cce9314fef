"""Numbers of rows on disk while a long command makes them, beside the checkpoints of the run.

    checkpoints/evaluate-3f2a81c09b7d4e65.safetensors      the columns of one call, and in the header
                                                           the call, the fingerprint, seconds, SHA-256

They are written at most every two seconds, and seldom enough that writing takes a twentieth of the
time; what is lost by a kill is made again, to the same bytes. A folder that takes no files keeps
nothing.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from taut.core import write_atomically
from taut.core.kept_rows import AbstractKeeper
from taut.runs.packed import packed, unpacked
from taut.runs.reading import DAMAGE

__all__ = ["KeptRows"]

_SECONDS = 2.0  # between two writes
_WRITING = 20.0  # times what the last one took


class KeptRows(AbstractKeeper):
    """The numbers of rows that a command makes.

    What others left here under the command's name, with another fingerprint or damaged, is removed.

    Arguments:
        folder: of the checkpoints; made when there is something to keep.
        of: the command.
        fingerprint: of all that the numbers follow from.
    """

    def __init__(self, folder: Path, *, of: str, fingerprint: str):
        self._folder, self._of, self._fingerprint = folder, of, fingerprint
        self._before: dict[str, tuple[dict[str, np.ndarray], float]] = {}
        self._unsaved: dict[str, tuple[Callable[[], dict[str, np.ndarray]], float]] = {}
        self._began: dict[str, float] = {}
        self._saved, self._takes = time.perf_counter(), 0.0
        for path in self._paths():
            if not self._read(path):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def found(self, call: str) -> dict[str, np.ndarray]:
        columns, seconds = self._before.pop(call, ({}, 0.0))
        self.credited += seconds
        self._began[call] = time.perf_counter() - seconds
        return columns

    def made(self, call: str, columns: Callable[[], dict[str, np.ndarray]]) -> None:
        now = time.perf_counter()
        self._unsaved[call] = columns, now - self._began[call]
        if now - self._saved >= max(_SECONDS, _WRITING * self._takes):
            self.save()

    def save(self) -> bool:
        """Write what is not written yet; whether anything of this command is kept."""
        began = time.perf_counter()
        with contextlib.suppress(OSError):
            for call, (columns, seconds) in self._unsaved.items():
                self._write(call, columns(), seconds)
            self._unsaved.clear()
        self._saved = time.perf_counter()
        self._takes = self._saved - began
        return any(True for _ in self._paths())

    def drop(self) -> None:
        """Remove everything: the command has ended."""
        self._unsaved.clear()
        for path in self._paths():
            path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._of}-*.safetensors"))

    def _read(self, path: Path) -> bool:
        try:
            arrays, header = unpacked(path.read_bytes())
            if header["fingerprint"] != self._fingerprint:
                return False
            self._before[header["call"]] = arrays, float(header["seconds"])
        except DAMAGE:
            return False
        return True

    def _write(self, call: str, columns: dict[str, np.ndarray], seconds: float) -> None:
        header = {"call": call, "fingerprint": self._fingerprint, "seconds": repr(seconds)}
        content = packed(columns, header)
        name = hashlib.sha256(call.encode()).hexdigest()[:16]
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{self._of}-{name}.safetensors"
        write_atomically(path, lambda file: file.write(content))
