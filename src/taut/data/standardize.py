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

__all__ = ["constant_columns", "constant_note", "moments_of", "shift_and_scale"]


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
