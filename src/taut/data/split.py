"""Splits: which rows train, which decide, which are reported.

A split is a function of (seed, number of rows, fractions) alone: the rows in random order are cut
into three, with the numbers of validation and test rows rounded to the nearest and the rest trained
on.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from taut.data.streams import Stream, permutation, philox
from taut.errors import InputError, option

__all__ = ["DEFAULT_SPLIT", "check_fractions", "split_rows"]

DEFAULT_SPLIT = (0.8, 0.1, 0.1)


def split_rows(
    num_rows: int, fractions: Sequence[float] = DEFAULT_SPLIT, *, seed: int = 0
) -> tuple[Int32[np.ndarray, " _"], ...]:
    """Row positions of each part, in random order.

    Arguments:
        num_rows: N.
        fractions: share of each part; positive, adding up to 1. Two or more parts.
        seed: a whole number in [0, 2^64).

    Returns:
        one int32 array for each fraction; together they hold each of 0..N - 1 once.

    Raises:
        InputError: fractions that are no shares, or a part that would be empty.
    """
    check_fractions(fractions)
    later = [round(f * num_rows) for f in fractions[1:]]
    sizes = [num_rows - sum(later), *later]
    if min(sizes) < 1:
        raise InputError(
            "at least one row in every part",
            f"parts of {', '.join(str(max(s, 0)) for s in sizes)} out of {num_rows} rows",
            "more rows, or a split with larger shares of the empty part",
            where="split",
        )
    order = permutation(philox(seed, Stream.SPLIT), num_rows)
    return tuple(np.split(order, np.cumsum(sizes)[:-1]))


def check_fractions(fractions: Sequence[float], *, parts: int | None = None) -> None:
    """Refuse fractions that are not positive shares of one whole, or not as many as `parts`."""
    fractions = (fractions,) if isinstance(fractions, int | float) else fractions
    shares = len(fractions) >= 2 and all(0.0 < f < 1.0 for f in fractions)
    shares = shares and parts in (None, len(fractions))
    # 1e-6 lets shares through that were written with six decimals, such as 0.333333.
    if not shares or not math.isclose(math.fsum(fractions), 1.0, abs_tol=1e-6):
        raise InputError(
            f"{parts or 'two or more'} positive shares that add up to 1",
            ", ".join(str(f) for f in fractions) or "none",
            option("split", (0.8, 0.1, 0.1)),
            where="split",
        )
