"""Grids of columns: values that come up again and again, at which a density has no upper bound.

    o + s k,  k a whole number      the values of a column on a grid of step s from the origin o
    chance                          sum_v n_v (n_v - 1) / (N (N - 1)), that two rows have one value

A column repeats values where that chance is at least 2 %, as of 50 equally frequent ones, or where one
value comes up in 4 % of the rows. Its grid is the coarsest that holds every value: whole numbers,
ratings, what was rounded to a tenth, two codes. Few values are on one only where they are nearer to it
than chance puts them. Where there is none, as where half of a column of real
numbers is 100 and the rest is not rounded, the column is a spike.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from taut.data.schema import Schema
from taut.data.streams import Stream, distinct, philox

__all__ = ["Grid", "grid_of", "grids_of", "may_be_whole", "repeats", "whole_columns"]

_CHANCE, _SHARE, _OFTEN = 0.02, 0.04, 10
_ROWS = 10_000  # that are looked at for repetition
_FEW = 64  # rows in which most columns of real numbers show that they are not whole
_MOST = 2**17  # steps to the largest value, so that float32 knows each to a hundredth
_MOST_WHOLE = 2**24  # whole numbers up to there are exact
_PLACES = 7  # decimal places that are tried
_FINER = 12  # how many times the least gap may be the step
_OFF_GRID = 0.01  # of a step
_ROUNDINGS = 8  # spacings of numbers that sums and products before may be off by
_BY_CHANCE = 1e-3  # of columns whose few values are anywhere


class Grid(NamedTuple):
    """The values origin + step k; step 0 where they are no grid."""

    step: float
    origin: float


def grids_of(
    values: Shaped[np.ndarray, "N D"],
    schema: Schema,
    others: Callable[[], Iterable[Shaped[np.ndarray, "n D"]]] = tuple,
) -> dict[str, tuple]:
    """The fields of a table's schema that say which columns repeat values.

    Arguments:
        values: all rows of the source that are in memory, NaN where a cell is missing.
        schema: their form; only real tables have such fields.
        others: gives the rows that are not, some at a time, which a grid has to hold, too.

    Returns:
        `steps`, `origins` and `spikes` for `dataclasses.replace`; nothing where no column repeats.
    """
    if schema.kind != "table" or schema.support != "real":
        return {}
    rows = values
    if len(values) > _ROWS:
        rows = values[np.sort(distinct(philox(0, Stream.SAMPLE), _ROWS, len(values)))]
    repeated = [i for i in range(values.shape[1]) if repeats(_known(rows[:, i]))]
    if not repeated:
        return {}
    grids = {i: grid_of(_known(values[:, i])) for i in repeated}
    grids |= _of_others({i: values[:, i] for i in repeated if grids[i].step}, others)
    found = [grids.get(i, Grid(0.0, 0.0)) for i in range(values.shape[1])]
    return {
        "steps": tuple(grid.step for grid in found),
        "origins": tuple(grid.origin for grid in found),
        "spikes": tuple(i for i in repeated if not grids[i].step),
    }


def _of_others(
    columns: dict[int, Shaped[np.ndarray, " N"]],
    others: Callable[[], Iterable[Shaped[np.ndarray, "n D"]]],
) -> dict[int, Grid]:
    """The grids of columns together with what more rows have in them; held are different values."""
    found = {i: np.unique(_known(column)) for i, column in columns.items()}
    grids = {i: grid_of(values) for i, values in found.items()}
    for rows in others() if found else ():
        for i in [i for i in found if grids[i].step]:
            values = np.union1d(found[i], _known(rows[:, i]))
            if len(values) > len(found[i]):
                found[i], grids[i] = values, grid_of(values)
    return grids


def whole_columns(parts: Sequence[Shaped[np.ndarray, "N D"]], schema: Schema) -> tuple[int, ...]:
    """Columns of real numbers that vary and hold whole numbers alone.

    Arguments:
        parts: all rows of the source, NaN where a cell is missing.
        schema: their form, of a table.
    """
    real = np.arange(schema.size if schema.support == "real" else 0)
    if schema.kinds is not None:
        kinds = [column.kind for column in schema.kinds]
        real = np.flatnonzero([kind == "real" for kind in kinds])
    for part in parts:
        real = may_be_whole(part, real)
    return tuple(i for i in real.tolist() if _is_whole([_known(part[:, i]) for part in parts]))


def may_be_whole(
    x: Shaped[np.ndarray, "N D"], columns: Int[np.ndarray, " d"]
) -> Int[np.ndarray, " k"]:
    """The columns that may hold whole numbers alone, as far as the first rows tell.

    Arguments:
        x: rows, NaN where a cell is missing.
        columns: which of them to look at.
    """
    few = x[:_FEW, columns]
    return columns[((few == np.rint(few)) | np.isnan(few)).all(axis=0)]


def _is_whole(parts: Sequence[Shaped[np.ndarray, " n"]]) -> bool:
    """Whether the observed cells of a column vary and are whole."""
    some = [part for part in parts if part.size]
    if not all((part == np.rint(part)).all() for part in some):
        return False
    least = min((float(part.min()) for part in some), default=0.0)
    most = max((float(part.max()) for part in some), default=0.0)
    return least < most and max(abs(least), abs(most)) < _MOST_WHOLE


def _known(column: Shaped[np.ndarray, " N"]) -> Shaped[np.ndarray, " n"]:
    """The observed cells of a column."""
    return column[~np.isnan(column)] if column.dtype.kind == "f" else column


def repeats(values: Shaped[np.ndarray, " N"]) -> bool:
    """Whether a column that is not constant repeats values."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    total = counts.sum()
    if len(counts) == 1 or total < 2:
        return False
    chance = (counts * (counts - 1)).sum() / (total * (total - 1))
    most = counts.max()
    return bool(chance >= _CHANCE or (most >= _OFTEN and most >= _SHARE * total))


def grid_of(values: Shaped[np.ndarray, " N"]) -> Grid:
    """The coarsest grid that holds all values of a column; step 0 for none."""
    found = np.unique(values).astype(np.float64)
    largest = np.abs(found).max()
    spacing = float(np.spacing(values.dtype.type(largest))) if values.dtype.kind == "f" else 0.0
    step = _decimal_step(found, spacing) or _common_step(found, spacing)
    most = _MOST_WHOLE if step == 1 else _MOST
    if not step or largest > most * step:
        return Grid(0.0, 0.0)
    from_zero = found[0] >= 0 and abs(found[0] / step - np.rint(found[0] / step)) < _OFF_GRID
    return Grid(step, 0.0 if from_zero else float(found[0]))


def _decimal_step(found: Float[np.ndarray, " V"], spacing: float) -> float:
    """The step of values that are whole numbers of tenths, hundredths, ...; 0 where they are not."""
    largest = np.abs(found).max()
    for scale in (10.0**places for places in range(_PLACES)):
        if largest * scale >= 2**53:
            break
        whole = np.rint(found * scale)
        off = float(np.abs(found * scale - whole).max())
        exact = scale == 1 and off == 0
        near = off <= _ROUNDINGS * spacing * scale
        if exact or (near and not _by_chance(off, spacing * scale, free=len(found))):
            return float(np.gcd.reduce(np.diff(whole).astype(np.int64)) / scale)
    return 0.0


def _common_step(found: Float[np.ndarray, " V"], spacing: float) -> float:
    """The step that divides all gaps between values; 0 where there is none."""
    gaps = np.diff(found)
    least = float(gaps.min())
    if not least > _ROUNDINGS * spacing / _OFF_GRID:
        return 0.0  # two values that rounding alone may tell apart
    for part in range(1, _FINER + 1):
        unit = least / part
        counts = np.rint(gaps / unit)
        missed = float(np.abs(gaps / unit - counts).max())
        # The sum of all gaps is known better than the least of them.
        step = float((found[-1] - found[0]) / counts.sum())
        places = (found - found[0]) / step
        if np.abs(places - np.rint(places)).max() >= _OFF_GRID:
            continue
        free = len(found) - 2  # two values are on a grid whatever they are
        known = spacing * float(counts.max()) / unit
        if not (free and _by_chance(missed, known, free=free, ways=_FINER)):
            return float(f"{step:.9g}")
    return 0.0


def _by_chance(off: float, spacing: float, *, free: int, ways: int = 1) -> bool:
    """Whether values that are anywhere are as near to a grid too often.

    Arguments:
        off: how far from it the farthest is, in steps.
        spacing: how exactly that is known in their precision, in steps.
        free: values, or gaps, that the grid was not laid by.
        ways: grids that are tried.
    """
    return ways * min(1.0, 2 * off + spacing) ** free > _BY_CHANCE
