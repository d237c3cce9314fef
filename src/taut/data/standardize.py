"""Shift and scale of real columns: mean and standard deviation of the training rows.

    u = (x - shift) / scale

One pair for each column of a table and one pair for an image as a whole, whose pixels share a unit.
A column that is constant over the training rows keeps scale 1.
"""

import numpy as np
from jaxtyping import Float

from taut.data.schema import Schema
from taut.data.sources.rows import Rows
from taut.errors import InputError

__all__ = ["constant_note", "refuse_rounding", "shift_and_scale"]

_SHOWN = 5  # columns that a note names


def shift_and_scale(
    x: Float[np.ndarray, "N ..."], schema: Schema
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (dividing by N) of the training rows, in float64."""
    cells = x.reshape(len(x), -1) if schema.kind == "table" else x.reshape(-1, 1)
    varies = cells.min(axis=0) != cells.max(axis=0)
    # The mean of equal numbers is off by rounding; their common value is not.
    shift = np.where(varies, cells.mean(axis=0, dtype=np.float64), cells[0])
    scale = np.where(varies, cells.std(axis=0, dtype=np.float64), 1.0)
    return tuple(shift.tolist()), tuple(scale.tolist())


def constant_note(x: Float[np.ndarray, "N ..."], schema: Schema) -> tuple[str, ...]:
    """A note that names the columns of a table that are constant over the training rows."""
    if schema.kind != "table":
        return ()
    constant = np.flatnonzero(x.min(axis=0) == x.max(axis=0))
    if not len(constant):
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
    spread = rows.values.std(axis=axes, dtype=np.float64)
    error = np.abs(x - rows.values.astype(np.float64)).max(axis=axes)
    varies = rows.values.min(axis=axes) != rows.values.max(axis=axes)
    lost = np.flatnonzero((error > 1e-3 * spread) & varies)
    if len(lost):
        column = int(lost[0])
        name = f", column '{schema.columns[column]}'" if schema.columns else ""
        raise InputError(
            f"values that {schema.dtype} tells apart",
            f"a spread of {np.ravel(spread)[column]:.3g} around "
            f"{np.ravel(rows.values.mean(axis=axes, dtype=np.float64))[column]:.9g}",
            "--precision float64, or subtracting an offset",
            where=f"{rows.where}{name}",
        )
