"""Shift and scale of real columns: mean and standard deviation of the training rows.

    u = (x - shift) / scale

One pair for each column of a table and one pair for an image as a whole, whose pixels share a unit.
A column that is constant over the training rows keeps scale 1, and the schema holds its value; one that
no training row has a value of keeps shift 0 and scale 1.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Shaped

from taut.data.moments import ColumnMoments
from taut.data.schema import Schema
from taut.data.slabs import slabs
from taut.data.sparse_rows import SparseRows
from taut.errors import InputError, option

__all__ = ["constant_columns", "constant_note", "moments_of", "refuse_rounding", "shift_and_scale"]


def moments_of(x: Shaped[np.ndarray, "N ..."] | SparseRows, schema: Schema) -> ColumnMoments:
    """Of the columns of a table's rows, or of all cells of images together."""
    moments = ColumnMoments(schema.size if schema.kind == "table" else None, schema.dtype)
    for slab in slabs(x.shape):
        moments.add(x[slab])
    return moments


def shift_and_scale(moments: ColumnMoments) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (dividing by N) of the training rows, from their moments."""
    # The mean of equal numbers is off by rounding; their common value is not.
    shift = np.where(moments.varies, moments.mean, moments.low)
    scale = np.where(moments.varies & (moments.counts > 0), moments.deviation, 1.0)
    return tuple(shift.tolist()), tuple(scale.tolist())


def constant_columns(
    varies: Bool[np.ndarray, "..."], value: Float[np.ndarray, "..."], schema: Schema
) -> Schema:
    """The schema with the columns of a table that are constant over the training rows.

    Arguments:
        varies: whether any two training rows differ in the column.
        value: of the column in the first of them.
        schema: of the rows.
    """
    if schema.kind != "table" or varies.all():
        return schema
    known = (None if v else float(c) for v, c in zip(varies, value, strict=True))
    return replace(schema, constant=tuple(known))


def constant_note(varies: Bool[np.ndarray, "..."], schema: Schema) -> tuple[str, ...]:
    """A note that names the columns of a table that are constant over the training rows."""
    constant = np.flatnonzero(~varies)
    if schema.kind != "table" or not len(constant):
        return ()
    return (f"constant over the training rows: {schema.named(constant.tolist())}",)


def refuse_rounding(moments: ColumnMoments, where: str, schema: Schema) -> None:
    """Refuse real columns whose rows the schema's dtype rounds together.

    The rounding is compared with the spread of the column; a thousandth of it is below what a
    density fitted to that many rows resolves.

    Arguments:
        moments: of the source's own values.
        where: the source, for messages.
        schema: the form of a row.
    """
    if schema.support != "real":
        return
    spread: Float[np.ndarray, " D"] = moments.deviation
    lost = np.flatnonzero((moments.rounding > 1e-3 * spread) & moments.varies)
    if len(lost):
        column = int(lost[0])
        name = f", column '{schema.columns[column]}'" if schema.columns else ""
        raise InputError(
            f"values that {schema.dtype} tells apart",
            f"a spread of {spread[column]:.3g} around {moments.mean[column]:.9g}",
            f"{option('precision', 'float64')}, or subtracting an offset",
            where=f"{where}{name}",
        )
