"""Whole numbers beyond 2^53, of which float64 holds some only.

    lost    max |x - float64(x)| > sd(x) / 1000

as of `taut.data.rounding`, from the numbers themselves: what was rounded already shows no loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from taut.errors import InputError, option

__all__ = ["is_wide", "refuse_merged", "refuse_wide"]

_EXACT = 2**53
_RESOLVED = 1e-3  # of the spread


def refuse_wide(values: Any, where: str, *, name: str | None = None) -> None:
    """Refuse a column whose whole numbers float64 rounds together; one that is constant stays so.

    Arguments:
        values: an array of whole numbers, or Python's.
        where: the source and the column, for messages.
        name: of the column; None where it has none.

    Raises:
        InputError: says how far apart the numbers are.
    """
    wide = _wide(values)
    if wide is None or min(wide) == max(wide):
        return
    low = min(wide)
    spread = float(np.std([float(value - low) for value in wide]))
    lost = max(abs(value - int(float(value))) for value in wide)
    if lost > _RESOLVED * spread:
        raise InputError(
            "whole numbers that float64 tells apart, as all are up to 2^53",
            f"a spread of {spread:.3g} around {wide[0]}",
            "subtracting an offset" + ("" if name is None else f", or {option('drop', (name,))}"),
            where=where,
        )  # fmt: skip


def refuse_merged(values: Any, where: str) -> None:
    """Refuse labels of which float64 takes one whole number for another.

    Arguments as of `refuse_wide`.

    Raises:
        InputError: names the labels.
    """
    held: dict[float, int] = {}
    for value in _wide(values) or ():
        other = held.setdefault(float(value), value)
        if other != value:
            raise InputError(
                "whole numbers that float64 tells apart, as all are up to 2^53", f"{other} and {value}",
                "labels that are text, or smaller numbers", where=where,
            )  # fmt: skip


def is_wide(values: Any) -> bool:
    """Whether some numbers of an array, or of Python's, lie beyond 2^53."""
    if not len(values) or (isinstance(values, np.ndarray) and values.dtype.kind not in "iuO"):
        return False
    low, high = (
        (values.min(), values.max())
        if isinstance(values, np.ndarray)
        else (min(values), max(values))
    )
    return int(low) < -_EXACT or int(high) > _EXACT


def _wide(values: Any) -> Sequence[int] | None:
    """The numbers exactly, where some are beyond 2^53; else None."""
    return [int(value) for value in values] if is_wide(values) else None
