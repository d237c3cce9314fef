"""Whole numbers that count something: draws, steps, rows."""

import numbers
from typing import Any

from taut.errors import InputError

__all__ = ["check_count", "is_whole"]


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy; True and False count nothing."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_count(value: Any, expected: str, remedy: str, *, where: str, least: int = 1) -> int:
    """A whole number of at least `least`, as Python has it.

    Arguments:
        value: what was given.
        expected: at least how many of what, in words.
        remedy: a value to try.
        where: the argument.
        least: the smallest number that will do.

    Raises:
        InputError: names the argument.
    """
    if not is_whole(value):
        raise InputError("a whole number", repr(value), remedy, where=where)
    if value < least:
        raise InputError(expected, f"{value}", remedy, where=where)
    return int(value)
