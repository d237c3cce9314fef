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
from taut.errors import InputError, counted, option

__all__ = ["DEFAULT_SPLIT", "check_fractions", "plan_of", "split_rows"]

DEFAULT_SPLIT = (0.8, 0.1, 0.1)

# The part of MNIST's training rows that the field validates on: 10000 of 60000.
_VALIDATION_OF_TRAIN = 1 / 6


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
    sizes = _sizes(num_rows, fractions)
    if min(sizes) < 1:
        raise InputError(
            "at least one row in every part",
            f"parts of {', '.join(str(max(s, 0)) for s in sizes)} out of {counted(num_rows, 'row')}",
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


def plan_of(
    sizes: Sequence[int], split: Sequence[float], seed: int, where: str, *, unsplit: bool = False
) -> list[tuple[int, np.ndarray]]:
    """For training, validation and test: the part of the source and the rows of it.

    Arguments:
        sizes: rows of each part of the source.
        split: shares of training, validation and test rows.
        seed: of their order.
        where: the source, for messages.
        unsplit: rows of one part that are too few for every share are all for training.

    Raises:
        InputError: as `split_rows`; a split for a source that is split already.
    """
    chosen = tuple(split) != DEFAULT_SPLIT
    if len(sizes) == 3:
        if chosen:
            raise InputError(
                "no split, as the source is split already",
                ", ".join(str(f) for f in split),
                "leaving it out",
                where=f"{where}, split",
            )
        return [(part, np.arange(size)) for part, size in enumerate(sizes)]
    if len(sizes) == 2:
        share = split[1] / (split[0] + split[1]) if chosen else _VALIDATION_OF_TRAIN
        split = (1 - share, share)
    if unsplit and min(_sizes(sizes[0], split)) < 1:
        found = [np.arange(n) for n in (sizes[0], *(0 for _ in split[1:]))]
    else:
        found = split_rows(sizes[0], split, seed=seed)
    rest = [(part, np.arange(size)) for part, size in enumerate(sizes)][1:]
    return [*((0, rows) for rows in found), *rest]


def _sizes(num_rows: int, fractions: Sequence[float]) -> list[int]:
    """Rows of each part: what is left by the later ones, which are rounded, goes to the first."""
    later = [round(f * num_rows) for f in fractions[1:]]
    return [num_rows - sum(later), *later]
