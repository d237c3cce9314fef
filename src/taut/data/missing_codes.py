"""Numbers that may stand for a missing cell, such as -999: suspected, never taken for one by guess.

A column's least or largest value v is suspected where it lies far outside the others, whose mean and
standard deviation are m and s:

    |v - m| > 3 s, v further than s from the next value      v looks like a code: -1, 99, -9.99, -999
    v < m - 3.5 s, likewise, at least three times            any other v, in a column of reals

A suspicion is a note. Cells are missing only where the caller named their value, as
`taut.data.coded_cells` has it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from taut.data.schema import Schema

__all__ = ["Outermost", "merged", "outermost", "suspected_among", "suspected_codes"]

_CODE, _OTHER = 3.0, 3.5  # standard deviations
_OFTEN = 3  # rows: two equal outliers may be chance
_SHOWN = 3  # values that are named
_CELLS = 2**20  # looked at together, 8 MiB
_SIGNS = (-1.0, 1.0)


class _Suspect(NamedTuple):
    value: float
    column: int
    times: int
    distance: float


class Outermost(NamedTuple):
    """The outermost value of each column to one side, and what is known of its other values.

    Attributes:
        sign: 1 for the largest, -1 for the least; all values are multiplied by it.
        top, times: that value and how often it is there, (D,); -inf where a column has no value.
        others, mean, squares: the number of other values, their mean, and the sum of their squared
            distances from it, (D,).
        following: the next value, (D,); -inf where all are alike.
    """

    sign: float
    top: np.ndarray
    times: np.ndarray
    others: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    following: np.ndarray


def outermost(x: Shaped[np.ndarray, "N D"], sign: float) -> Outermost:
    """Of some rows, NaN where a cell is missing."""
    outward = sign * x.astype(np.float64)
    hole = np.isnan(outward)
    outward[hole] = -np.inf
    top = outward.max(axis=0, initial=-np.inf)
    extreme = (outward == top) & ~hole
    aside = extreme | hole
    others = len(x) - aside.sum(axis=0)
    mean = np.where(aside, 0.0, outward).sum(axis=0) / np.maximum(others, 1)
    with np.errstate(over="ignore"):
        squares = np.where(aside, 0.0, (outward - mean) ** 2).sum(axis=0)
    following = np.where(aside, -np.inf, outward).max(axis=0, initial=-np.inf)
    return Outermost(sign, top, extreme.sum(axis=0), others, mean, squares, following)


def merged(one: Outermost, two: Outermost) -> Outermost:
    """Of two sets of rows together.

    Sums of squares add up by Chan, Golub and LeVeque, Algorithms for computing the sample variance
    (1983), equation 1.5b, so that no large value is taken away from a larger one.
    """
    top = np.maximum(one.top, two.top)
    groups = [(side.others, side.mean, side.squares) for side in (one, two)]
    for side in (one, two):  # whose top may be among the others now
        known = (side.top < top) & (side.times > 0)
        alike = np.zeros(len(top))
        groups.append((np.where(known, side.times, 0), np.where(known, side.top, 0.0), alike))
    others = np.sum([n for n, _, _ in groups], axis=0)
    mean = np.sum([n * own for n, own, _ in groups], axis=0) / np.maximum(others, 1)
    with np.errstate(over="ignore"):
        squares = np.sum([within + n * (own - mean) ** 2 for n, own, within in groups], axis=0)
    nexts = [np.where(s.top < top, s.top, s.following) for s in (one, two)]
    times = np.sum([np.where(s.top < top, 0, s.times) for s in (one, two)], axis=0)
    return Outermost(one.sign, top, times, others, mean, squares, np.maximum(*nexts))


def suspected_codes(x: Shaped[np.ndarray, "N ..."], schema: Schema) -> tuple[str, ...]:
    """A note for each value of a table that may stand for missing cells.

    Arguments:
        x: the rows, NaN where a cell is missing.
        schema: their form; images, binary tables and categories have no such values.
    """
    if not _may_have_some(schema) or len(x) < 2:
        return ()
    found: list[_Suspect] = []
    width = max(1, _CELLS // len(x))
    for first in range(0, x.shape[1], width):
        some = x[:, first : first + width]
        for sign in _SIGNS:
            ends = (np.fmax if sign > 0 else np.fmin).reduce(some).astype(np.float64)
            asked = np.array([_looks_like_a_code(float(end)) for end in ends])
            if sign < 0 and schema.support == "real":
                asked |= (some == ends).sum(axis=0) >= _OFTEN
            places = np.flatnonzero(asked)  # few: how far others lie from the rest does not matter
            found += _suspects(outermost(some[:, places], sign), first + places, schema)
    return _notes(found, schema)


def suspected_among(ends: Sequence[Outermost], schema: Schema) -> tuple[str, ...]:
    """As `suspected_codes`, of the outermost values of rows that were seen part by part."""
    if not _may_have_some(schema):
        return ()
    every = np.arange(schema.size)
    return _notes([one for side in ends for one in _suspects(side, every, schema)], schema)


def _may_have_some(schema: Schema) -> bool:
    return schema.kind == "table" and schema.support in ("real", "count")


def _suspects(ends: Outermost, columns: np.ndarray, schema: Schema) -> list[_Suspect]:
    """Outermost values of columns, whose numbers are given, far from the rest."""
    spread = np.sqrt(ends.squares / np.maximum(ends.others, 1))
    apart = (ends.others > 0) & (ends.top - ends.following > spread) & (spread > 0)
    found = []
    for i in np.flatnonzero(apart):
        distance = float((ends.top - ends.mean)[i] / spread[i])
        value, times = float(ends.sign * ends.top[i]), int(ends.times[i])
        often = ends.sign < 0 and schema.support == "real" and times >= _OFTEN
        if (often and distance > _OTHER) or (distance > _CODE and _looks_like_a_code(value)):
            found.append(_Suspect(value, int(columns[i]), times, distance))
    return found


def _notes(found: Sequence[_Suspect], schema: Schema) -> tuple[str, ...]:
    by_value: dict[float, list[_Suspect]] = {}
    for one in found:
        by_value.setdefault(one.value, []).append(one)
    ranked = sorted(by_value.items(), key=lambda item: -sum(s.times for s in item[1]))
    return tuple(_note(value, some, schema) for value, some in ranked[:_SHOWN])


def _looks_like_a_code(value: float) -> bool:
    """-1, -9, and numbers written with nines alone: 99, -99.9, 9999."""
    digits = f"{abs(value):.6g}".replace(".", "").lstrip("0")
    return value in (-1.0, -9.0) or (len(digits) > 1 and set(digits) == {"9"})


def _note(value: float, found: Sequence[_Suspect], schema: Schema) -> str:
    count, distance = sum(s.times for s in found), max(s.distance for s in found)
    times = "once" if count == 1 else f"{count} times"
    columns = schema.named([s.column for s in found])
    return (
        f"{value:.6g} occurs {times} in {columns}, up to {distance:.0f} standard deviations from the "
        f"rest (missing_codes {value:.6g} reads it as missing)"
    )
