"""Progress in one line of text: written over where someone looks on, else a new line now and then."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from taut.errors import counted
from taut.training import Progress

__all__ = ["ProgressLine", "progress_words"]

_FIRST, _LONGEST = 10.0, 300.0  # seconds until the first line of a log, and most between two
_GROWTH = 1.5  # of the time between two: a long run has no long log


class ProgressLine:
    """A context manager whose `update` shows a report.

    Arguments:
        stream: where to write text.
        live: each report is written over the one before, and the last one is wiped away; else lines
            come after 10 seconds and then less and less often, at last every five minutes.
        clock: seconds.
    """

    def __init__(self, stream: Any, *, live: bool, clock: Callable[[], float] = time.monotonic):
        self._stream, self._live, self._clock = stream, live, clock
        self._width = 0
        self._between, self._due = _FIRST, clock() + _FIRST

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._width:
            self._write(f"\r{'':{self._width}}\r")

    def update(self, progress: Any) -> None:
        """Show a report of the loop, or of EM."""
        words = progress_words(progress)
        if self._live:
            self._write(f"\r{words:<{self._width}}")
            self._width = max(self._width, len(words))
        elif self._clock() >= self._due:
            self._between = min(self._between * _GROWTH, _LONGEST)
            self._due = self._clock() + self._between
            self._write(f"{words}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def progress_words(progress: Any) -> str:
    """A report of the loop, or of EM, in words."""
    if not isinstance(progress, Progress):
        return (
            f"{counted(progress.components, 'component')}, start {progress.restart + 1}, iteration "
            f"{progress.iteration}: {progress.log_evidence:.4f} nats per row"
        )
    words = f"step {progress.step}/{progress.num_steps}, epoch {progress.epoch:.1f}, "
    words += f"bound {progress.bound:.2f}"
    if progress.validation is not None:
        words += f", validation {progress.validation:.2f}"
    left = (progress.num_steps - progress.step) / max(progress.steps_per_second, 1e-9)
    minutes, seconds = divmod(round(left), 60)
    return f"{words}, {progress.steps_per_second:.0f} steps/s, {minutes}:{seconds:02d} left"
