"""Errors in three parts: what was expected, what was got, what to try.

Every message reads as one line, ``where: expected X, got Y. Try Z.``, so that the command line can
print it as it stands.
"""

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "RunError", "TautError", "nearest"]


class TautError(Exception):
    """A failure that says what was expected, what was got, and what to try.

    Abstract: raise `InputError` or `RunError`.

    Arguments:
        expected: what would have been right, without a full stop.
        got: what was found instead.
        remedy: what to try; printed after "Try ".
        where: file, row, column, option or argument that the message is about.
    """

    exit_code = 1

    def __init__(self, expected: str, got: str, remedy: str, *, where: str | None = None):
        self.expected, self.got, self.remedy, self.where = expected, got, remedy, where
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}expected {expected}, got {got}. Try {remedy}.")


class InputError(TautError, ValueError):
    """The caller's data, option or combination of parts cannot be used (exit code 2)."""

    exit_code = 2


class RunError(TautError, RuntimeError):
    """The input was fine and the run failed (exit code 1)."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelled most like `name`, or all of them where none is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"'{close[0]}'" if close else ", ".join(known)
