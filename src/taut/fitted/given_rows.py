"""Rows as a caller has them - a `Dataset`, an array, a data frame - as arrays of the fitted form.

They are read as the fit's own data were: whole numbers on a grid of grey levels are the source's values.
Those that are on the support already, such as grey values from 0 to 1, stay as they are.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer

from taut.core import Datum, InputError
from taut.data import Dataset, Schema, load_rows
from taut.data.sources.frame import with_text_names

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["as_array", "as_datum", "is_sparse", "mask_of"]


def is_sparse(rows: Any) -> bool:
    """Whether rows are a `Dataset` held without its zeros, of which a part at a time is made dense."""
    return isinstance(rows, Dataset) and rows.sparse


def as_datum(rows: Any, fit: "Fit") -> Datum:
    """A batched datum; a `Datum` is taken as it is, a `Dataset` with its masks and row numbers.

    Raises:
        InputError: see `as_array`.
    """
    if isinstance(rows, Datum):
        return rows
    if isinstance(rows, Dataset):
        return rows.datum(sparse=True)
    x, _ = as_array(rows, fit)
    return Datum(np.asarray(x), mask_of(x))


def mask_of(x: Any) -> Any:
    """True where a cell is observed, which NaN says it is not; None where all are, and while tracing."""
    if isinstance(x, Tracer) or not np.isnan(x).any():
        return None
    return ~np.isnan(x)


def as_array(rows: Any, fit: "Fit") -> tuple[Any, bool]:
    """The rows as an array with a leading axis, and whether there was one row without it.

    Arguments:
        rows: in the data's own units, NaN where a cell is missing; one row of the schema's shape or
            many. While tracing they are taken to be on the support.
        fit: whose schema says the form of a row and the columns that a frame must have, and whose
            precision arrays have that are no JAX arrays yet.

    Raises:
        InputError: another shape, or a frame that lacks a column; whole numbers off the grid.
    """
    schema, precision = fit.schema, fit.precision
    if isinstance(rows, Dataset):
        rows = rows.x
    elif not hasattr(rows, "shape") or hasattr(rows, "columns"):
        rows = _frame_to_array(rows, schema)
    if np.ma.is_masked(rows):
        rows = np.ma.filled(np.ma.asarray(rows, precision), np.nan)
    shape = schema.shape
    rows = rows if isinstance(rows, jax.Array) else np.asarray(rows)
    if rows.shape[-len(shape) :] != shape or rows.ndim not in (len(shape), len(shape) + 1):
        raise InputError(
            f"one row of shape {shape} or many",
            f"an array of shape {rows.shape}",
            "reshaping it, leading axis over rows",
            where="rows",
        )
    single, rows = rows.ndim == len(shape), rows.reshape(-1, *shape)
    if _of_source(rows, schema):
        rows = load_rows(np.asarray(rows), replace(schema, dtype=precision)).x
    return (rows if isinstance(rows, jax.Array) else np.asarray(rows, precision)), single


def _of_source(rows: Any, schema: Schema) -> bool:
    """Whether rows for a grid hold its whole numbers v, not x = v / (levels - 1)."""
    if schema.levels in (None, 2) or isinstance(rows, Tracer) or rows.dtype.kind not in "iuf":
        return False
    if rows.dtype.kind != "f" and schema.support == "grey":
        return True
    there = np.asarray(rows)[~np.isnan(rows)]
    return bool((there > 1).any() and (there == np.rint(there)).all())


def _frame_to_array(rows: Any, schema: Schema) -> np.ndarray:
    import narwhals as nw

    if schema.kinds is not None:
        return load_rows(rows, schema).x
    try:
        frame = with_text_names(nw.from_native(rows, eager_only=True))
    except TypeError:
        return np.asarray(rows)
    columns = list(schema.columns or frame.columns)
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputError(
            f"the columns {', '.join(columns)}", f"none called '{missing[0]}'",
            "a frame with the columns that were fitted", where="rows",
        )  # fmt: skip
    return frame.select(columns).to_numpy()
