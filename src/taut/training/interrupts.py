"""Ctrl-C at a moment when nothing is half done.

The first interrupt only asks; whoever holds the request finishes what it is doing, saves, and raises.
The second one interrupts at once.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["InterruptRequest", "deferred_interrupt"]


class InterruptRequest:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.made = False


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[InterruptRequest]:
    """Turn the first interrupt into a request; without effect outside the main thread."""
    request = InterruptRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(*_: object) -> None:
        request.made = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, before)
