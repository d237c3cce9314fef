"""Shift and scale of real columns: mean and standard deviation of the training rows.

    u = (x - shift) / scale

One pair for each column of a table and one pair for an image as a whole, whose pixels share a unit.
A column that is constant over the training rows keeps scale 1.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from taut.data.moments import Moments
from taut.data.schema import Schema
from taut.data.sources.rows import Rows
from taut.errors import InputError

__all__ = [
    "constant_note",
    "constant_note_of",
    "refuse_rounding",
    "refuse_rounding_of",
    "shift_and_scale",
    "shift_and_scale_of",
]

_SHOWN = 5  # columns that a note names


def shift_and_scale(
    x: Float[np.ndarray, "N ..."], schema: Schema
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (dividing by N) of the training rows, in float64."""
    cells = x.reshape(len(x), -1) if schema.kind == "table" else x.reshape(-1, 1)
    return _shift_and_scale(
        cells.mean(axis=0, dtype=np.float64),
        cells.std(axis=0, dtype=np.float64),
        cells[0],
        cells.min(axis=0) != cells.max(axis=0),
    )


def shift_and_scale_of(moments: Moments) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """As `shift_and_scale`, from the moments of the source's own values of the training rows."""
    return _shift_and_scale(moments.mean, moments.deviation, moments.low, moments.varies)


def _shift_and_scale(
    mean: np.ndarray, deviation: np.ndarray, some_row: np.ndarray, varies: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # The mean of equal numbers is off by rounding; their common value is not.
    shift = np.where(varies, mean, some_row)
    scale = np.where(varies, deviation, 1.0)
    return tuple(shift.tolist()), tuple(scale.tolist())


def constant_note(x: Float[np.ndarray, "N ..."], schema: Schema) -> tuple[str, ...]:
    """A note that names the columns of a table that are constant over the training rows."""
    return constant_note_of(x.min(axis=0) != x.max(axis=0), schema)


def constant_note_of(varies: Bool[np.ndarray, "..."], schema: Schema) -> tuple[str, ...]:
    """As `constant_note`, from which columns vary."""
    constant = np.flatnonzero(~varies)
    if schema.kind != "table" or not len(constant):
        return ()
    names = [f"'{schema.columns[i]}'" if schema.columns else str(i) for i in constant[:_SHOWN]]
    more = f" and {len(constant) - _SHOWN} more" if len(constant) > _SHOWN else ""
    return (f"constant over the training rows: columns {', '.join(names)}{more}",)


def refuse_rounding(rows: Rows, x: Float[np.ndarray, "N ..."], schema: Schema) -> None:
    """Refuse real columns whose rows the dtype of `x` rounds together.

    The rounding is compared with the spread of the column; a thousandth of it is below what a
    density fitted to that many rows resolves.
    """
    if rows.values.dtype == x.dtype or schema.support != "real":
        return
    axes = 0 if schema.kind == "table" else None
    _refuse_rounding(
        rows.where,
        schema,
        mean=rows.values.mean(axis=axes, dtype=np.float64),
        spread=rows.values.std(axis=axes, dtype=np.float64),
        error=np.abs(x - rows.values.astype(np.float64)).max(axis=axes),
        varies=rows.values.min(axis=axes) != rows.values.max(axis=axes),
    )


def refuse_rounding_of(moments: Moments, where: str, schema: Schema) -> None:
    """As `refuse_rounding`, from moments."""
    if schema.support == "real":
        _refuse_rounding(
            where,
            schema,
            mean=moments.mean,
            spread=moments.deviation,
            error=moments.rounding,
            varies=moments.varies,
        )


def _refuse_rounding(
    where: str, schema: Schema, *, mean: Any, spread: Any, error: Any, varies: Any
) -> None:
    lost = np.flatnonzero((error > 1e-3 * spread) & varies)
    if len(lost):
        column = int(lost[0])
        name = f", column '{schema.columns[column]}'" if schema.columns else ""
        raise InputError(
            f"values that {schema.dtype} tells apart",
            f"a spread of {np.ravel(spread)[column]:.3g} around {np.ravel(mean)[column]:.9g}",
            "--precision float64, or subtracting an offset",
            where=f"{where}{name}",
        )
