"""Rows as a caller has them - a `Dataset`, an array, a data frame - as arrays of the fitted form.

They are read as the fit's own data were: whole numbers on a grid of grey levels are the source's values,
and what stood for a missing cell does so again. Arrays that are on the support already, such as grey
values from 0 to 1 or codes of categories, stay as they are.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer

from taut.core import Datum, InputError, num_rows
from taut.data import Dataset, load_rows
from taut.data.coded_cells import uncoded
from taut.data.sources.frame import with_text_names
from taut.data.targets import UNLABELLED
from taut.fitted.drawn_rows import binarized_once

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["as_array", "as_dataset", "as_datum", "as_drawn", "is_sparse", "mask_of", "some"]


def is_sparse(rows: Any) -> bool:
    """Whether rows are a `Dataset` held without its zeros, of which a part at a time is made dense."""
    return isinstance(rows, Dataset) and rows.sparse and len(rows) > 0


def as_datum(rows: Any, fit: "Fit") -> Datum:
    """A batched datum; a `Datum` is taken as it is, a `Dataset` with its masks and row numbers.

    Raises:
        InputError: see `as_array`; labels that are no codes of the target's classes.
    """
    if isinstance(rows, Datum):
        given = some(rows, num_rows(rows))
        return replace(given, label=_class_codes(given.label, fit))
    if isinstance(rows, Dataset):
        some(rows, len(rows))
        return as_drawn(rows, fit).datum(sparse=True)
    x, _ = as_array(rows, fit)
    return Datum(np.asarray(x), mask_of(x))


def _class_codes(label: Any, fit: "Fit") -> Any:
    """Labels as codes of the classes of a target that stands beside the columns; others as they are."""
    classes = fit.schema.classes
    beside = fit.schema.target is not None and fit.schema.place_of_target is None
    if label is None or classes is None or not beside or isinstance(label, Tracer):
        return label
    codes = np.asarray(label)
    known = np.isin(codes, np.arange(UNLABELLED, len(classes)))
    if not known.all():
        raise InputError(
            f"codes of classes from 0 to {len(classes) - 1}, or {UNLABELLED} for none",
            f"{codes[~known][0]}", "rows.datum() of a Dataset", where="rows, label",
        )  # fmt: skip
    return codes.astype(np.int32)


def as_drawn(rows: Dataset, fit: "Fit") -> Dataset:
    """The rows, of which grey ones that training draws anew for each batch are drawn once."""
    return binarized_once(rows, seed=fit.recipe.data.split_seed)


def some(rows: Any, number: int) -> Any:
    """The rows, refused where their number is 0."""
    if number:
        return rows
    raise InputError("at least one row", "none", "rows such as those fitted", where="rows")


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
        InputError: no rows, or of another shape; a frame that lacks a column; cells that are no numbers;
            whole numbers off a grid.
    """
    shape, precision, own = fit.schema.shape, fit.precision, isinstance(rows, Dataset)
    if isinstance(rows, Dataset):
        rows = as_drawn(rows, fit).x
    elif not hasattr(rows, "shape") or hasattr(rows, "columns"):
        rows = _frame_to_array(rows, fit)
    rows = rows if isinstance(rows, jax.Array) else _numbers(rows, precision)
    some(rows, 1 if rows.ndim == 0 else len(rows))
    if rows.shape[-len(shape) :] != shape or rows.ndim not in (len(shape), len(shape) + 1):
        raise InputError(
            f"one row of shape {shape} or many",
            f"an array of shape {rows.shape}",
            "reshaping it, leading axis over rows",
            where="rows",
        )
    single, rows = rows.ndim == len(shape), rows.reshape(-1, *shape)
    if not own and not isinstance(rows, Tracer):
        rows = _on_support(rows, fit)
    return (rows if isinstance(rows, jax.Array) else np.asarray(rows, precision)), single


def as_dataset(rows: Any, fit: "Fit", *, unseen: str = "refuse", labelled: bool = True) -> Dataset:
    """Rows of a source, read with the options of the fit's own data; none are left out.

    Of classes that the fit has not seen a label or a target beside the columns is none.

    Arguments:
        rows: as of `taut.data.load_rows`.
        fit: whose schema and options they are read with.
        unseen: as of `taut.data.load_rows`.
        labelled: with what stands beside the columns, where it is there.

    Raises:
        InputError: as `taut.data.load_rows`.
    """
    own, schema = fit.recipe.data, fit.schema
    if not labelled and schema.columns and schema.place_of_target is None:
        schema = replace(schema, label_name=None, target=None)
    return load_rows(
        rows, schema, missing_codes=own.missing_codes, decimal=own.decimal, unseen=unseen,
        unseen_classes="missing", seed=own.split_seed,
    )  # fmt: skip


def _numbers(rows: Any, precision: str) -> np.ndarray:
    """Rows that are no frame as an array of numbers, NaN where they are masked.

    Raises:
        InputError: cells that are none.
    """
    array = np.asarray(rows)
    if array.dtype.kind not in "biuf":
        try:
            if array.dtype.kind not in "OSU":
                raise TypeError
            array = array.astype(precision)
        except (TypeError, ValueError):
            raise InputError(
                "numbers, and codes in place of names, in an array", f"cells of type {array.dtype}",
                "a data frame of them", where="rows",
            ) from None  # fmt: skip
    if np.ma.is_masked(rows):
        return np.where(np.ma.getmaskarray(rows), np.nan, array.astype(precision))
    return array


def _on_support(rows: Any, fit: "Fit") -> Any:
    """An array on the support, NaN for codes of missing cells; itself where it is so already."""
    schema, codes, grid = fit.schema, fit.recipe.data.missing_codes, fit.schema.levels
    if not codes and grid in (None, 2):
        return rows
    given = np.asarray(rows)
    if given.dtype.kind not in "biuf":
        given = np.asarray(rows, fit.precision)
    names = None if schema.kinds is None else [column.names for column in schema.kinds]
    x = uncoded(given, codes, names=names)
    if grid not in (None, 2) and given.dtype.kind != "b":
        there = x[~np.isnan(x)]
        whole = given.dtype.kind != "f" and schema.support == "grey"
        # Whole numbers v of the source, not x = v / (levels - 1).
        if whole or ((there > 1).any() and (there == np.rint(there)).all()):
            return as_dataset(given, fit).x
    return rows if x is given else x


def _frame_to_array(rows: Any, fit: "Fit") -> np.ndarray:
    import narwhals as nw

    schema = fit.schema
    if schema.kinds is not None:
        return as_dataset(rows, fit, labelled=False).x
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
    values = frame.select(columns).to_numpy()
    return values if values.dtype.kind in "biuf" else as_dataset(rows, fit, labelled=False).x
