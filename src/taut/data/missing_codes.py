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

__all__ = ["suspected_codes"]

_CODE, _OTHER = 3.0, 3.5  # standard deviations
_OFTEN = 3  # rows: two equal outliers may be chance
_SHOWN = 3  # values that are named
_CELLS = 2**20  # looked at together, 8 MiB


class _Suspect(NamedTuple):
    value: float
    column: int
    times: int
    distance: float


def suspected_codes(x: Shaped[np.ndarray, "N ..."], schema: Schema) -> tuple[str, ...]:
    """A note for each value of a table that may stand for missing cells.

    Arguments:
        x: the rows, NaN where a cell is missing.
        schema: their form; images, binary tables and categories have no such values.
    """
    if schema.kind != "table" or schema.support not in ("real", "count") or len(x) < 2:
        return ()
    by_value: dict[float, list[_Suspect]] = {}
    width = max(1, _CELLS // len(x))
    for first in range(0, x.shape[1], width):
        some = x[:, first : first + width]
        real = schema.support == "real"
        for one in (*_suspects(some, -1.0, first, real=real), *_suspects(some, 1.0, first)):
            by_value.setdefault(one.value, []).append(one)
    ranked = sorted(by_value.items(), key=lambda item: -sum(s.times for s in item[1]))
    return tuple(_note(value, found, schema) for value, found in ranked[:_SHOWN])


def _suspects(
    x: Shaped[np.ndarray, "N D"], sign: float, first: int, *, real: bool = False
) -> list[_Suspect]:
    """Extremes of columns, numbered from `first`, far from the rest: below (-1) or above (1)."""
    ends = (np.fmax if sign > 0 else np.fmin).reduce(x).astype(np.float64)
    asked = np.array([_looks_like_a_code(float(end)) for end in ends])
    if real:
        asked |= (x == ends).sum(axis=0) >= _OFTEN
    places = np.flatnonzero(asked)  # few: how far others lie from the rest does not matter
    outward, top = sign * x[:, places].astype(np.float64), sign * ends[places]
    extreme, hole = outward == top, np.isnan(outward)
    count, known = extreme.sum(axis=0), len(x) - hole.sum(axis=0)
    others, aside = np.maximum(known - count, 1), extreme | hole
    mean = np.where(aside, 0.0, outward).sum(axis=0) / others
    with np.errstate(over="ignore"):
        spread = np.sqrt(np.where(aside, 0.0, (outward - mean) ** 2).sum(axis=0) / others)
    following = np.where(aside, -np.inf, outward).max(axis=0)
    found = []
    for i in np.flatnonzero((count < known) & (top - following > spread) & (spread > 0)):
        distance, value = (top - mean)[i] / spread[i], float(sign * top[i])
        plain = real and count[i] >= _OFTEN and distance > _OTHER
        if plain or (distance > _CODE and _looks_like_a_code(value)):
            number, times = first + int(places[i]), int(count[i])
            found.append(_Suspect(value, number, times, float(distance)))
    return found


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
