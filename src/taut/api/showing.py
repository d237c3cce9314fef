"""Whether progress is shown: by default where someone types, in a prompt or a notebook."""

import builtins
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from taut.core import InputError

__all__ = ["Shown", "shown"]

Shown = Callable[[Any], None] | bool | None
"""What to call with each report; True for a line on standard error, False for none."""

_VARIABLE = "TAUT_PROGRESS"  # 0 turns the default off


@contextlib.contextmanager
def shown(progress: Any) -> Iterator[Any]:
    """What a fit calls while it runs.

    Arguments:
        progress: see `Shown`; None for a line where someone types.

    Raises:
        InputError: something else.
    """
    if progress is None:
        progress = _someone_types() and os.environ.get(_VARIABLE) != "0"
    if callable(progress):
        yield progress
    elif not isinstance(progress, bool):
        raise InputError(
            "True, False or a function of a report", repr(progress), "True", where="progress"
        )
    elif not progress:
        yield None
    else:
        from taut.report.progress_line import ProgressLine

        with ProgressLine(sys.stderr, live=_someone_types() or sys.stderr.isatty()) as line:
            yield line.update


def _someone_types() -> bool:
    """Whether Python has a prompt, or runs in a notebook."""
    return hasattr(sys, "ps1") or hasattr(builtins, "get_ipython")
