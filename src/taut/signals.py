"""Signals that ask a program to end: Ctrl-C, SIGTERM of a scheduler, SIGHUP of a terminal.

Each raises `Interrupted` where the program stands; `deferred_interrupt` of `taut.training` puts that off
to a moment when nothing is half done. A signal that is ignored stays so: `nohup` ignores SIGHUP, and a
shell SIGINT for what runs in its background. One that a caller has a handler for stays the caller's.
"""

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["ENDING", "Interrupted", "ending_signals", "interrupt_now", "taken_over"]

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_SOON = 0.05  # seconds after which an interrupt that was lost is made again


class Interrupted(KeyboardInterrupt):
    """What a signal that asks a program to end raises.

    Arguments:
        message: what was stopped, and how to go on.
        number: of the signal.

    Attributes:
        kept: whether the same command goes on from what it has done.
    """

    kept: bool = False

    def __init__(self, message: str = "interrupted", number: int = signal.SIGINT):
        super().__init__(message)
        self.number = int(number)

    @property
    def exit_code(self) -> int:
        """Of a program that ends by it, as shells have it."""
        return 128 + self.number

    @classmethod
    def of(cls, interrupt: KeyboardInterrupt) -> "Interrupted":
        """An interrupt in this form, whoever raised it."""
        return interrupt if isinstance(interrupt, cls) else cls(str(interrupt) or "interrupted")


def interrupt_now(number: int, _: FrameType | None = None) -> None:
    """The handler of a command: raise, but not once more while one is on its way out."""
    if not isinstance(sys.exception(), KeyboardInterrupt):
        raise Interrupted(number=number)


@contextlib.contextmanager
def taken_over(handler: Any, *, then: Any = None) -> Iterator[None]:
    """Hand the signals to a handler while the block runs, but those that are ignored or someone's own.

    Without effect outside the main thread, which alone gets signals.

    Arguments:
        handler: as `signal.signal` takes it.
        then: the handler after the block; None for the one before it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = (signal.SIG_DFL, signal.default_int_handler, interrupt_now)
    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: old for number, old in before.items() if old in ours}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old if then is None else then)


@contextlib.contextmanager
def ending_signals(*, for_good: bool) -> Iterator[None]:
    """Let the signals interrupt a command, once, without a traceback.

    Arguments:
        for_good: the process ends after the block, and a signal ends it without a word.
    """
    hook = sys.unraisablehook

    def again(lost: Any) -> None:
        # Raised where Python can only print it: in a destructor, or a callback of the garbage collector.
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            hook(lost)
            return
        number = Interrupted.of(lost.exc_value).number
        threading.Timer(_SOON, _thread.interrupt_main, [number]).start()

    sys.unraisablehook = again
    try:
        with taken_over(interrupt_now, then=signal.SIG_DFL if for_good else None):
            yield
    finally:
        sys.unraisablehook = hook
