"""Names of categories that are numbers: whole ones as they are, others with as few digits as tell them
from all others, 0.2 and not 0.20000000000000001.

A text stands for the category of that name, else for the one whose name spells the same number, as 0.20
does for 0.2.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Int

__all__ = ["name_codes", "names_read", "number_name"]


def number_name(value: float | int | np.number) -> str:
    """The name of a category that is a number."""
    value = float(value) + 0.0  # -0 is 0
    return _in_full(value) if value.is_integer() else repr(value)


def names_read(names: Sequence[str]) -> tuple[str, ...]:
    """The names of a file, which may have numbers with all 17 digits."""
    numbers = [_number(name) for name in names]
    full = all(
        n is not None and _in_full(n) == text for n, text in zip(numbers, names, strict=True)
    )
    return tuple(number_name(float(name)) for name in names) if full else tuple(names)


def name_codes(
    texts: Sequence[str], names: Sequence[str], *, same: Callable[[str], str] = str
) -> Int[np.ndarray, " N"]:
    """The place of each text among names; -1 for one that is none of them.

    Arguments:
        texts: names, or numbers however they are spelled.
        names: of categories, all different.
        same: what two spellings of one name have in common.
    """
    place = {same(name): code for code, name in enumerate(names)}
    numbers = [_number(name) for name in names]
    once = Counter(numbers)  # 7 and 007 are two categories, and 07 is none of them
    spelled = {n: code for code, n in enumerate(numbers) if n is not None and once[n] == 1}

    def code(text: str) -> int:
        if (found := place.get(same(text))) is not None:
            return found
        number = _number(text)
        return -1 if number is None else spelled.get(number, -1)

    return np.array([code(text) for text in texts], np.int64)


def _in_full(value: float | int) -> str:
    return f"{value:.17g}"


def _number(text: str) -> float | int | None:
    """The finite number that a text spells, a whole one exactly; None for other text."""
    if "_" in text:  # which Python takes for a mark between digits
        return None
    for read in (int, float):
        with suppress(ValueError):
            number = read(text)
            return number if abs(number) <= sys.float_info.max else None
    return None
