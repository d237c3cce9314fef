"""Whole numbers beyond 2^53, of which float64 holds some only.

    lost    max |x - float64(x)| > sd(x) / 1000

as of `taut.data.rounding`, from the numbers themselves: what was rounded already shows no loss. Those
that number the rows of a table, as identifiers do, tell nothing else of them and are left out by name.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from taut.data.sources.raw_rows import Request
from taut.errors import InputError, option

__all__ = ["is_wide", "numbering", "numbering_note", "refuse_merged", "refuse_wide"]

_EXACT = 2**53
_RESOLVED = 1e-3  # of the spread
_SPARSE = 2  # rows that were dropped leave gaps in what numbers them


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


def numbering(columns: Mapping[str, Any], request: Request) -> list[str]:
    """Columns whose whole numbers are beyond 2^53 and number the rows; none where all do.

    They rise from row to row with few gaps, or are consecutive in any order.

    Arguments:
        columns: arrays of whole numbers, or Python's, one for each row; empty for other columns.
        request: what is asked of the source; what it names tells more than that.
    """
    if request.keep is not None:
        return []
    asked = [name for name in columns if name not in request.stay]
    found = [name for name in asked if _numbers_rows(_wide(columns[name]) or ())]
    return found if len(found) < len(columns) else []


def numbering_note(names: Sequence[str]) -> tuple[str, ...]:
    """A note for each column that is left out, as it numbers the rows."""
    return tuple(f"column '{n}' is left out: it numbers the rows, beyond 2^53" for n in names)


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


def _numbers_rows(wide: Sequence[int]) -> bool:
    if len(wide) < 2 or len(set(wide)) < len(wide):
        return False
    span, rising = max(wide) - min(wide), all(one < two for one, two in pairwise(wide))
    return span == len(wide) - 1 or (rising and span < _SPARSE * len(wide))
