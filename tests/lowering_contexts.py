"""One context of MLIR for many programs that are lowered.

JAX makes one for each program. With what is freed after it that takes 4 ms, a third of the time in which
a small program is traced and lowered, and the suite lowers tens of thousands.
"""

import functools
import itertools
import threading
from typing import Any

from jax._src.interpreters import mlir

__all__ = ["share_contexts"]

_PROGRAMS = 100  # of one context, which keeps the types, places and constants of all of them


class _Latest(threading.local):
    """The context of a thread, and the numbers of its programs."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.context: Any = None


def share_contexts() -> None:
    """Let JAX lower `_PROGRAMS` programs of a thread in one context, if it has the function for it."""
    make = getattr(mlir, "make_ir_context", None)
    if make is None:
        return
    latest = _Latest()

    @functools.wraps(make)
    def shared() -> Any:
        if not next(latest.numbers) % _PROGRAMS:
            latest.context = make()
        return latest.context

    mlir.make_ir_context = shared
