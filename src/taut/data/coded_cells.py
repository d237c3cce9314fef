"""Cells that hold a number that stands for a missing one, such as -999, which the caller named.

A source that holds its numbers in float32 has 0.1 as 0.10000000149: a code is known in both precisions.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Shaped

__all__ = ["coded", "uncoded"]


def coded(
    values: Shaped[np.ndarray, "..."],
    codes: Sequence[float],
    *,
    names: Sequence[Sequence[str] | None] | None = None,
) -> Bool[np.ndarray, "..."] | None:
    """True at cells that hold one of the codes; None where no code can be among the values.

    Where the type of the values is wider than float32, which their source may have held them in, a code
    is also the number that float32 rounds it to.

    Arguments:
        values: cells.
        codes: numbers that stand for a missing one.
        names: of each column, the texts that its values count through, and then none is a code; None or
            empty for a column of numbers, and where all are.
    """
    found = None
    for own in dict.fromkeys(own for code in codes for own in _held(code, values.dtype)):
        found = values == own if found is None else found | (values == own)
    if found is None or names is None:
        return found
    return found & np.array([not texts for texts in names])


def _held(code: float, dtype: np.dtype) -> list[float]:
    """The numbers of this type that a code may stand in a source as."""
    found = []
    for rounds in (dtype, *([np.dtype(np.float32)] if dtype == np.float64 else [])):
        with np.errstate(invalid="ignore", over="ignore"):
            own = float(np.asarray(code).astype(rounds))
        far = np.isinf(own) or own == 0
        if own == code or (rounds.kind == "f" and not far):
            found.append(own)
    return found


def uncoded(
    values: Shaped[np.ndarray, "..."],
    codes: Sequence[float],
    *,
    names: Sequence[Sequence[str] | None] | None = None,
) -> Shaped[np.ndarray, "..."]:
    """Values with NaN for codes, as float64 where whole; the same array where there are none.

    Arguments are those of `coded`.
    """
    found = coded(values, codes, names=names)
    if found is None or not found.any():
        return values
    return np.where(
        found, np.nan, values if values.dtype.kind == "f" else values.astype(np.float64)
    )
