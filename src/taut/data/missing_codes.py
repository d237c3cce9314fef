"""Numbers that stand for a missing cell, such as -999: told apart from values, never by guess.

A column's least or largest value v is suspected where it lies far outside the others, whose mean and
standard deviation are m and s:

    |v - m| > 3 s, v further than s from the next value      v looks like a code: -1, 99, -9.99, -999
    v < m - 3.5 s, likewise, at least three times            any other v, in a column of reals

A suspicion is a note. Cells are missing only where the caller named their value.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from taut.data.schema import Schema

__all__ = ["coded", "suspected_codes", "uncoded"]

_CODE, _OTHER = 3.0, 3.5  # standard deviations
_OFTEN = 3  # rows: two equal outliers may be chance
_SHOWN = 3  # values that are named
_CELLS = 2**20  # looked at together, 8 MiB


def coded(
    values: Shaped[np.ndarray, "..."],
    codes: Sequence[float],
    *,
    names: Sequence[Sequence[str] | None] | None = None,
) -> Bool[np.ndarray, "..."] | None:
    """True at cells that hold one of the codes; None where no code can be among the values.

    Arguments:
        values: cells.
        codes: numbers that stand for a missing one.
        names: of each column, the texts that its values count through, and then none is a code; None or
            empty for a column of numbers, and where all are.
    """
    found = None
    for code in codes:
        with np.errstate(invalid="ignore", over="ignore"):
            own = np.asarray(code).astype(values.dtype)  # as the file's type rounds it
        if float(own) != code and (values.dtype.kind != "f" or np.isinf(own)):
            continue
        found = values == own if found is None else found | (values == own)
    if found is None or names is None:
        return found
    return found & np.array([not texts for texts in names])


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
