"""What native code prints on standard error of its own accord, kept off it where it says the same twice.

A panic of Rust prints where it happened, with a backtrace where the environment asks for one, before
Python sees the exception that it becomes. Python cannot take that over, so the descriptor is turned to a
file while the reader runs. What else was printed meanwhile, by whatever thread, follows afterwards.
"""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

__all__ = ["without_panics"]

_STANDARD_ERROR = 2
_PANIC = re.compile(rb"\n?thread '[^'\n]*' .{0,30}panicked at ")
_one = threading.Lock()  # two that turn the descriptor would each give back the other's


@contextlib.contextmanager
def without_panics() -> Iterator[None]:
    """Print nothing of a panic within; its exception is the caller's to word."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_one)
        try:
            own = os.dup(_STANDARD_ERROR)
        except OSError:  # a process without standard error
            yield
            return
        stack.callback(os.close, own)
        file = stack.enter_context(tempfile.TemporaryFile())
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(file.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(own, _STANDARD_ERROR)
            file.seek(0)
            printed = file.read()
            panic = _PANIC.search(printed)
            with contextlib.suppress(OSError):  # one that is closed by now
                os.write(own, printed[: panic.start()] if panic else printed)
