"""Tables whose columns differ in kind, as an estimator is given them and as it gives them back.

A frame keeps its library and the types of its columns; an array has columns x0, x1, ..., as
scikit-learn names them. Inside, a table is a frame or an array of numbers, and then rows of codes and
numbers.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from sklearn.utils.validation import validate_data

from taut.core import InputError, counted
from taut.data import Column, Schema, as_written, load_rows
from taut.data.sources import NamedColumns, need_polars
from taut.data.timeline import STEPS

__all__ = ["TableForm", "checked_table", "coded_rows", "completed", "in_form"]


class TableForm(NamedTuple):
    """What a table was.

    Attributes:
        library: of a frame, as Narwhals names it; None for an array.
        types: of a frame's columns, as Narwhals has them.
        numbers: of an array, whether it held numbers alone.
    """

    library: str | None
    types: tuple[Any, ...] = ()
    numbers: bool = True

    @classmethod
    def of(cls, table: Any) -> "TableForm":
        """That of a frame, or of an array or nested lists."""
        import narwhals as nw

        if not _is_frame(table):
            return cls(None, numbers=np.asarray(table).dtype.kind in "biuf")
        frame = nw.from_native(table, eager_only=True)
        return cls(frame.implementation.name.lower(), tuple(frame.schema.values()))


def checked_table(
    estimator: Any, table: Any, *, names: Sequence[str] | None = None, least: int = 1
) -> Any:
    """A frame, or an array of numbers, of the columns that an estimator knows, or is to know where there
    are no names yet.

    Arguments:
        estimator: whose columns are looked at.
        table: a frame, an array, or nested lists.
        names: of the columns that were fitted, in their order.
        least: rows.

    Raises:
        ValueError: as of `sklearn.utils.validation.validate_data`.
        InputError: a cell that is neither a number nor text; a lazy frame; text, and no Polars.
    """
    import narwhals as nw

    if not _is_frame(table):
        kind: Any = None
        array: Any = validate_data(
            estimator, table, dtype=kind, ensure_all_finite="allow-nan", reset=names is None,
            ensure_min_samples=least,
        )  # fmt: skip
        return _read_array(array, names)
    validate_data(estimator, table, reset=names is None, skip_check_array=True)
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise InputError(
            "a data frame in memory", f"a {type(table).__name__}", "collecting it first", where="X"
        )
    if len(frame) < least:
        raise InputError(
            f"at least {counted(least, 'row')}", f"n_samples={len(frame)}", "more", where="X"
        )
    if names is None or list(frame.columns) == list(names):
        return table
    return nw.to_native(frame.rename(dict(zip(frame.columns, names, strict=True))))


def coded_rows(table: Any, schema: Schema) -> Float[np.ndarray, "N D"]:
    """The rows of a table in the form of a schema: codes and numbers, NaN where a cell is missing.

    Raises:
        InputError: a value that its column did not have, or that is of another kind.
    """
    table = NamedColumns.of(table, schema.columns) if isinstance(table, np.ndarray) else table
    return load_rows(table, schema).x


def in_form(x: Float[np.ndarray, "N D"], schema: Schema, form: TableForm) -> Any:
    """Rows of codes and numbers as a table of the form that was fitted.

    Of means, a category of two and a Boolean are the more probable one. A number that is not whole, in
    a column that had whole numbers, stays what it is.
    """
    assert schema.kinds is not None
    types = form.types or (None,) * len(schema.kinds)
    own = [_rounded(v, c, t) for v, c, t in zip(x.T, schema.kinds, types, strict=True)]
    written = as_written(np.stack(own, axis=1), schema.kinds)
    if form.library is None:
        if not form.numbers:
            return np.array(written, object).T
        return np.array(written, np.float64).T
    return _frame_in_form(dict(zip(schema.columns or (), written, strict=True)), own, schema, form)


def completed(table: Any, filled: Any, missing: Bool[np.ndarray, "N D"]) -> Any:
    """A frame, or an array, with the cells of another of its form where its own are missing.

    Whole numbers become fractions in a column that is filled with some.
    """
    import narwhals as nw

    if not _is_frame(table):
        return np.where(missing, filled, np.asarray(table, np.asarray(filled).dtype))
    frame, other = (nw.from_native(t, eager_only=True) for t in (table, filled))
    columns = []
    for i, name in enumerate(frame.columns):
        own, rows = frame[name], np.flatnonzero(missing[:, i])
        if not rows.size:
            continue
        cells = other[other.columns[i]][rows.tolist()]
        if own.dtype.is_integer() and not cells.dtype.is_integer():
            own = own.cast(cells.dtype)
        columns.append(own.scatter(rows.tolist(), cells.to_list()))
    return frame.with_columns(*columns).to_native()


def _frame_in_form(
    cells: dict[str, list[Any]], x: list[np.ndarray], schema: Schema, form: TableForm
) -> Any:
    import narwhals as nw

    kinds, casts = dict(zip(cells, schema.kinds or (), strict=True)), []
    for (name, column), own, type_ in zip(kinds.items(), x, form.types, strict=True):
        if type_ in (nw.Date, nw.Datetime):
            cells[name] = [_moment(float(v), column, type_) for v in own]
        elif column.names and (type_.is_numeric() or type_ == nw.Boolean):
            cells[name] = [float(text) for text in cells[name]]
        whole = type_.is_integer() and np.all(np.asarray(cells[name], np.float64) % 1 == 0)
        text = isinstance(cells[name][0], str)
        if whole or type_ == nw.Boolean or type_.is_float() or type_.is_temporal() or text:
            casts.append(nw.col(name).cast(type_))
    library: Any = form.library
    return nw.from_dict(cells, backend=library).with_columns(casts).to_native()


def _rounded(values: np.ndarray, column: Column, type_: Any) -> np.ndarray:
    import narwhals as nw

    return np.rint(values) if column.kind == "binary" and type_ == nw.Boolean else values


def _moment(x: float, column: Column, type_: Any) -> datetime:
    """A date, as the frame had it."""
    aware = getattr(type_, "time_zone", None) is not None
    began = datetime(1970, 1, 1, tzinfo=UTC if aware else None)
    return began + timedelta(seconds=round(column.origin + x * STEPS[column.unit], 6))


def _is_frame(table: Any) -> bool:
    import narwhals as nw

    return nw.dependencies.is_into_dataframe(table) or nw.dependencies.is_polars_lazyframe(table)


def _read_array(
    array: Shaped[np.ndarray, "N D"], names: Sequence[str] | None
) -> Float[np.ndarray, "N D"] | Any:
    """An array of numbers, or a frame where cells are text, whose columns are numbers where all are."""
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    columns = [_known(cells.tolist(), i) for i, cells in enumerate(array.T)]
    texts = [any(isinstance(cell, str) for cell in column) for column in columns]
    if not any(texts):
        return np.array(columns, np.float64).T
    need_polars("X, cells of text")
    import polars as pl

    names = [f"x{i}" for i in range(array.shape[1])] if names is None else names
    found: dict[str, Any] = {}
    for name, column, text in zip(names, columns, texts, strict=True):
        kind, dtype = (str, pl.String) if text else (float, pl.Float64)
        cells = [None if cell is None else kind(cell) for cell in column]
        found[name] = pl.Series(cells, dtype=dtype)
    return pl.DataFrame(found)


def _known(cells: list[Any], column: int) -> list[Any]:
    """The cells of a column, None for those that are missing.

    Raises:
        InputError: a cell that is neither a number nor text.
    """
    known = [None if cell is None or cell != cell else cell for cell in cells]
    for row, cell in enumerate(known):
        if cell is not None and not isinstance(cell, str | int | float | np.number | np.bool_):
            raise InputError(
                "numbers or text", f"a {type(cell).__name__}", "one of these in each cell",
                where=f"X, row {row}, column {column}",
            )  # fmt: skip
    return known
