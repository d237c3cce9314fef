"""Signals that ask to end, at a moment when nothing is half done.

The first one only asks; whoever holds the request finishes what it is doing, saves, and raises. Those
that follow within two seconds are the same wish: a key that is pressed again and again, a scheduler that
signals every process of a job. A later one interrupts at once.
"""

import contextlib
import time
from collections.abc import Iterator

from taut.signals import Interrupted, interrupt_now, taken_over

__all__ = ["InterruptRequest", "deferred_interrupt"]

_ONE_WISH = 2.0  # seconds


class InterruptRequest:
    """Whether a signal has asked to end."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._since = 0.0

    @property
    def made(self) -> bool:
        return self.number is not None

    def ask(self, number: int, _: object = None) -> None:
        """The handler of the signals."""
        now = time.monotonic()
        if self.number is None:
            self.number, self._since = number, now
        elif now - self._since > _ONE_WISH:
            interrupt_now(number)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[InterruptRequest]:
    """Turn the first signal into a request; without effect outside the main thread.

    Raises:
        Interrupted: a request was made, in the words of the interrupt that the block has raised for it.
    """
    request = InterruptRequest()
    with taken_over(request.ask):
        try:
            yield request
        except KeyboardInterrupt as interrupt:
            if request.number is None:
                raise
            raise Interrupted(str(interrupt) or "interrupted", request.number) from None
    if request.number is not None:
        raise Interrupted(number=request.number)
