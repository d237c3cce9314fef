"""Rows that an estimator is given, as a `Data` whose training rows are all of them that count.

A row of weight 0 teaches nothing, as if it were not there; the others keep their numbers. What has to
stand in the other parts is never looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from taut.data import Data, Dataset, Schema, load_data, observed
from taut.data.column_values import column_values
from taut.data.grids import whole_columns
from taut.data.kinds import columns_of, standardised
from taut.data.sources import NamedColumns, Request, read_source
from taut.data.standardize import constant_columns
from taut.data.wishes import check_wished, wish_texts, wishes_of

__all__ = ["rows_alike", "rows_by_column"]


def rows_alike(
    x: Float[np.ndarray, "N D"],
    columns: tuple[str, ...] | None,
    support: str | None,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Data:
    """Rows whose columns are all of one kind, in float64.

    Arguments:
        x: rows, NaN where a cell is missing.
        columns: their names, where they have some.
        support: what their values are; inferred when None.
        weight: how often each row counts; once when None.
    """
    counted = _counted(x, weight)
    x = x[counted]
    parts = (x, x[:1], x[:1])
    data: Any = load_data(parts, dtype=np.float64, support=support, name="X", stream="no")
    schema = replace(data.schema, columns=columns)
    return replace(data, schema=schema, train=replace(data.train, index=counted, schema=schema))


def rows_by_column(
    table: Any,
    kind: Sequence[str] | Mapping[str, Any],
    weight: Float[np.ndarray, " N"] | None,
) -> Data:
    """Rows whose columns are each of the kind that their values show; see `taut.data.kinds`.

    No column is left out, also none that numbers the rows. What is learned of the columns is learned of
    the rows by their weights, so that a weight of 2 and the row twice teach the same.

    Arguments:
        table: a frame that Narwhals accepts, or an array of numbers, (N, D), of columns x0, x1, ...
        kind: what is said of columns, as of `taut.load_data`.
        weight: how often each row counts; once when None.

    Raises:
        InputError: columns that hold neither numbers nor text nor dates; a kind that values do not fit.
    """
    wishes = wishes_of(wish_texts(kind), where="kind")
    words = {name: wish.missing for name, wish in wishes.items() if wish.missing}
    counted = _counted(table, weight)
    weight = None if weight is None else weight[counted]
    (rows,) = read_source(_some(table, counted), Request(missing=words))
    names = rows.columns or ()
    check_wished(wishes, names, rows.where)
    columns = columns_of([rows], wishes, weight)
    x = column_values(rows, columns, "float64")
    schema = Schema(
        name="X", kind="table", shape=(len(columns),), support="mixed", columns=names,
        dtype="float64", kinds=standardised(x, columns, weight), holes=bool(np.isnan(x).any()),
    )  # fmt: skip
    schema = replace(schema, whole=whole_columns([x], schema) or None)
    low = np.fmin.reduce(x)
    schema = constant_columns(low != np.fmax.reduce(x), low, schema)
    train = Dataset(cells=x, mask=observed(x, schema), label=None, index=counted, schema=schema)
    return Data(train, train[:1], train[:1], schema, rows.notes)


def _counted(rows: Any, weight: Float[np.ndarray, " N"] | None) -> Int32[np.ndarray, " n"]:
    """The numbers of the rows that count."""
    found = np.arange(len(rows)) if weight is None else np.flatnonzero(weight)
    return found.astype(np.int32)


def _some(table: Any, rows: np.ndarray) -> Any:
    """The rows of these places, as a source."""
    import narwhals as nw

    if isinstance(table, np.ndarray):
        return NamedColumns.of(table[rows])
    if len(rows) == len(table):
        return table
    return nw.to_native(nw.from_native(table, eager_only=True)[rows])
