"""Data frames: any that Narwhals accepts (Polars, pandas, PyArrow, Modin, ...), by named columns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from taut.data.coded_cells import uncoded
from taut.data.sources.dates import DAY, TIME, date_text, dates_of
from taut.data.sources.decimals import with_decimal_points
from taut.data.sources.needs_polars import need_polars
from taut.data.sources.raw_rows import RawRows, Request, Unit, take_label
from taut.data.sources.units import unit_note, without_units
from taut.data.sources.whole_numbers import (
    numbering,
    numbering_note,
    refuse_merged,
    refuse_wide,
)
from taut.data.sources.words import (
    BOOLEAN,
    MISSING_WORDS,
    emptied,
    numbers_among,
    spell_names,
    words,
)
from taut.errors import InputError, nearest, option

__all__ = [
    "choose_columns",
    "frame_rows",
    "label_of",
    "read_frame",
    "refuse_text",
    "text_codes",
    "with_text_names",
]


def read_frame(frame: Any, request: Request, where: str) -> RawRows:
    """The rows of a data frame in memory.

    Raises:
        InputError: a lazy frame; columns as in `choose_columns` and `frame_rows`.
    """
    import narwhals as nw

    native = nw.to_native(frame, pass_through=True)
    if nw.dependencies.is_pandas_dataframe(native):
        frame = native = _plain(native)
    if nw.dependencies.is_pandas_like_dataframe(native):
        _refuse_twice([str(name) for name in native.columns], where)
    if nw.dependencies.is_pandas_dataframe(native):
        frame = _typed(native)
    try:
        table = with_text_names(nw.from_native(frame, eager_only=True))
    except TypeError as error:
        raise InputError(
            "a data frame in memory",
            f"a {type(frame).__name__}",
            "collecting it first",
            where=where,
        ) from error
    data, label = choose_columns(table.columns, request, where)
    return frame_rows(table, data, label, where, request=request)


def _plain(frame: Any) -> Any:
    """A pandas frame with one row of names, ('price', 'mean') as price.mean, and no sparse columns."""
    import narwhals as nw

    if frame.columns.nlevels > 1:
        names = [".".join(str(part) for part in name if part != "") for name in frame.columns]
        frame = frame.set_axis(names, axis="columns")
    kind = nw.dependencies.get_pandas().SparseDtype
    sparse = {n: dtype.subtype for n, dtype in frame.dtypes.items() if isinstance(dtype, kind)}
    return frame.astype(sparse) if sparse else frame


def _typed(frame: Any) -> Any:
    """A pandas frame whose columns of Python objects have the type that all cells but missing ones have.

    Numbers, truths and dates beside None are such columns.
    """
    import narwhals as nw

    pandas, found = nw.dependencies.get_pandas(), frame.copy(deep=False)
    for name in [name for name, dtype in frame.dtypes.items() if dtype == "object"]:
        column = frame[name]
        kind = pandas.api.types.infer_dtype(column, skipna=True)
        if kind in ("boolean", "integer", "floating", "mixed-integer-float", "datetime"):
            found[name] = column.convert_dtypes()
        elif kind == "decimal":
            found[name] = column.where(column.notna()).astype(float)
        elif kind == "date":
            found[name] = pandas.to_datetime(column)
    return found


def with_text_names(table: Any) -> Any:
    """A Narwhals frame whose columns have text for names, as pandas numbers them by default."""
    if all(isinstance(name, str) for name in table.columns):
        return table
    return table.rename({name: str(name) for name in table.columns})


def choose_columns(
    names: Sequence[str], request: Request, where: str, *, counted: bool = False
) -> tuple[list[str], str | None]:
    """Which columns are data, in order, and which is the label.

    Arguments:
        names: the columns that there are.
        request: what to take and leave.
        where: for messages.
        counted: True when `names` were made up by counting columns of a file without a header; they
            then stand for the columns of a schema by position, all or those that are not optional.

    Raises:
        InputError: names that occur twice; a label or a dropped column that is not there; a column
            of the schema that is not there; no column left.
    """
    _refuse_twice(names, where)
    label = request.label
    if label not in names and request.rows_only:
        label = None
    for name in (*request.drop, *([label] if label is not None else [])):
        if name not in names:
            raise InputError(
                f"a column among {_listed(names)}", f"'{name}'", nearest(name, names), where=where
            )
    data = [n for n in names if n != label and n not in request.drop]
    if request.keep is not None:
        there = set(data)
        needed = [n for n in request.keep if n not in request.optional]
        absent = [n for n in needed if n not in there]
        if absent and not (counted and len(data) in (len(request.keep), len(needed))):
            raise InputError(
                f"the columns of the fitted data, {_listed(request.keep)}",
                f"no column '{absent[0]}' among {_listed(data)}",
                f"renaming {nearest(absent[0], data)}" if data else "a table that has it",
                where=where,
            )
        data = [n for n in request.keep if n in there] if not absent else data
    if not data:
        raise InputError(
            "a column of data", "none but those left out", "dropping fewer columns", where=where
        )
    return data, label


def frame_rows(
    frame: Any, data: Sequence[str], label: str | None, where: str, *, request: Request
) -> RawRows:
    """The chosen columns of an eager frame as rows; NaN for nulls, codes for text, seconds for dates.

    Raises:
        InputError: no rows; columns that hold neither numbers nor text nor dates, by name; text as in
            `_of_texts`.
    """
    import narwhals as nw

    table = with_text_names(nw.from_native(frame, eager_only=True, pass_through=True))
    columns = {name: table[name] for name in table.columns}
    if not len(table):
        raise InputError("at least one row", "none", "another table", where=where)
    full = [n for n in data if columns[n].dtype.is_integer() and not columns[n].is_null().any()]
    left = numbering({n: columns[n].to_numpy() if n in full else () for n in data}, request)
    data = [name for name in data if name not in left]
    dtypes = {name: columns[name].dtype for name in data}
    others = [name for name, kind in dtypes.items() if not _is_read(kind)]
    refuse_others([name for name in others if not columns[name].is_null().all()], where)
    narrow = (nw.Boolean, nw.Int8, nw.Int16, nw.Int32, nw.Int64, nw.UInt8, nw.UInt16, nw.UInt32)
    counted = all(kind in narrow for kind in dtypes.values())
    coded = any(name in request.missing for name in data)
    whole = counted and not coded and not any(columns[name].is_null().any() for name in data)
    values = np.empty((len(table), len(data)), dtype=np.int64 if whole else np.float64)
    names: list[tuple[str, ...] | None] = []
    units, notes = [], numbering_note(left)
    for i, name in enumerate(data):
        values[:, i], texts, unit, told = _cells(columns[name], name, where, request, whole=whole)
        names.append(texts)
        units.append(unit)
        notes += told
    labels = None if label is None else label_of(columns[label], f"{where}, label '{label}'")
    logical = label is not None and columns[label].dtype == nw.Boolean
    return RawRows(
        values=values,
        where=where,
        columns=tuple(data),
        labels=labels,
        label_name=label,
        label_words=BOOLEAN if logical else (),
        notes=notes + unit_note([unit.name for unit in units], data),
        whole=counted,
        names=tuple(names) if any(names) else None,
        units=tuple(units),
    )


class _Cells(NamedTuple):
    """The cells of one column as numbers.

    Attributes:
        values: NaN for nulls, codes for text, seconds for dates, (N,).
        names: the texts that codes count through; None for numbers and dates.
        unit: what the numbers count or measure.
        notes: what a reader should know of them.
    """

    values: np.ndarray
    names: tuple[str, ...] | None = None
    unit: Unit = Unit()
    notes: tuple[str, ...] = ()


def _is_read(kind: Any) -> bool:
    """Whether a column of this type holds numbers, text or dates."""
    import narwhals as nw

    read = (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Date, nw.Datetime)
    return kind.is_numeric() or kind in read


def _cells(column: Any, name: str, where: str, request: Request, *, whole: bool) -> _Cells:
    """The cells of a column, which in a table of whole numbers alone stay whole."""
    import narwhals as nw

    if column.dtype in (nw.String, nw.Categorical, nw.Enum):
        texts = column.cast(nw.String).to_list()
        return _Cells(*_of_texts(texts, name, request, where))
    if column.dtype in (nw.Date, nw.Datetime):
        values, unit = _of_dates(column)
        if name in request.worded:
            return _Cells(*text_codes(_date_texts(values, unit.form)))
        return _Cells(values, unit=unit)
    if column.dtype.is_integer():
        place = f"{where}, column '{name}'"
        refuse_wide(column.drop_nulls().to_numpy(), place, name=name)
    empty = not _is_read(column.dtype)  # a column of nulls alone
    values = np.full(len(column), np.nan) if empty else _numbers(column, whole)
    if name in request.missing:
        values = uncoded(values, numbers_among(request.missing[name]))
    return _Cells(values, unit=Unit(words=BOOLEAN) if column.dtype == nw.Boolean else Unit())


def _refuse_twice(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(
                "columns with different names", f"'{name}' twice", "renaming one", where=where
            )
        seen.add(name)


def _of_texts(
    texts: Sequence[Any], name: str, request: Request, where: str
) -> tuple[np.ndarray, tuple[str, ...] | None, Unit, tuple[str, ...]]:
    """Codes and their texts, or the numbers or dates that a column of text spells, and their unit.

    Raises:
        InputError: no Polars; numbers and other text in one column; as of `with_decimal_points` and
            `dates_of`.
    """
    need_polars(f"{where}, column '{name}' of text")
    import polars as pl

    only = [text if isinstance(text, str) else None for text in texts]
    cells = pl.Series(only, dtype=pl.String).str.strip_chars().fill_null("")
    cells = emptied(cells, request.empty(name))
    plain, (unit,) = without_units(cells, 1)
    plain, told = with_decimal_points(
        plain, [name], None, separator="", wish=request.decimal, source=where
    )
    given = words(plain)
    numbers = given.cast(pl.Float64, strict=False)
    strange = (given.is_not_null() & numbers.is_null()).to_numpy()

    def place(row: int) -> str:
        return f"{where}, row {row}, column '{name}'"

    if spell_names(cells, request.coded.get(name, 0.0)):
        return *text_codes(cells.to_list()), Unit(), ()
    if numbers.null_count() == len(numbers):
        dates = None
        if name not in request.worded:
            dates = dates_of(given, place, form=request.forms.get(name, ""))
        if dates is not None:
            return dates[0], None, Unit(form=dates[1]), ()
        return *text_codes(cells.to_list()), Unit(), ()
    if strange.any():
        row = int(strange.argmax())
        raise InputError(
            "numbers alone, or names alone", f"'{cells[row]}' among numbers",
            "mending the cells, or names such as 'no 1' for codes", where=place(row),
        )  # fmt: skip
    return numbers.fill_null(float("nan")).to_numpy(), None, Unit(unit), told


def _of_dates(column: Any) -> tuple[np.ndarray, Unit]:
    """Dates as seconds, those of zones in UTC."""
    import narwhals as nw

    if column.dtype == nw.Date:
        column, form = column.cast(nw.Datetime("us")), DAY
    else:
        form = TIME + ("" if column.dtype.time_zone is None else "%z")
    values = column.dt.timestamp("us").cast(nw.Float64).fill_null(float("nan")).to_numpy() / 1e6
    if (values % 1 > 0).any():
        form = form.replace("%S", "%S.%f")
    return values, Unit(form=form)


def _date_texts(seconds: np.ndarray, form: str) -> list[str | None]:
    """Dates in words, one for each whatever the others are: without a time where it is midnight."""
    return [
        None if np.isnan(value) else date_text(float(value), DAY if value % 86400 == 0 else form)
        for value in seconds
    ]


def text_codes(texts: Sequence[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each text as its place among all in alphabetical order, NaN for a missing one, and these texts."""
    cells = [
        t.strip() if isinstance(t, str) and t.strip().lower() not in MISSING_WORDS else None
        for t in texts
    ]
    names = tuple(sorted({cell for cell in cells if cell is not None}))
    place: dict[str | None, float] = {name: float(code) for code, name in enumerate(names)}
    return np.array([place.get(cell, np.nan) for cell in cells]), names


def refuse_others(names: Sequence[str], where: str) -> None:
    """Refuse columns that hold neither numbers nor text."""
    if names:
        raise InputError(
            "columns of numbers, text or dates",
            f"none of these in {_listed(names)}",
            option("drop", names),
            where=where,
        )


def refuse_text(names: Sequence[str], where: str, why: str) -> None:
    """Refuse columns that hold no numbers, where nothing else will do."""
    if names:
        raise InputError(
            f"columns of numbers, {why}",
            f"none in {_listed(names)}",
            option("drop", names),
            where=where,
        )


def _numbers(column: Any, whole: bool) -> np.ndarray:
    import narwhals as nw

    if whole:
        return column.cast(nw.Int64).to_numpy()
    return column.cast(nw.Float64).fill_null(float("nan")).to_numpy()


def label_of(column: Any, where: str) -> np.ndarray:
    """A Narwhals column of whole or real numbers or text as labels.

    Raises:
        InputError: a column of another kind.
    """
    import narwhals as nw

    whole = column.dtype.is_integer() or column.dtype == nw.Boolean
    if column.dtype.is_integer():
        refuse_merged(column.drop_nulls().to_numpy(), where)
    if whole and not column.is_null().any():
        return take_label(_numbers(column, True), len(column), where)
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        labels = _numbers(column, False)
        narrow = column.dtype == nw.Float32  # which rounds codes as it rounds the column
        return take_label(labels.astype(np.float32) if narrow else labels, len(column), where)
    if column.dtype in (nw.String, nw.Categorical, nw.Enum):
        texts = column.cast(nw.String).fill_null("").to_list()
        return take_label(np.array(texts, dtype=str), len(column), where)
    if column.dtype in (nw.Date, nw.Datetime):
        remedy = f"{option('target_as', 'column')} if it is a target, or another label"
        raise InputError("numbers or text", "dates", remedy, where=where)
    raise InputError("numbers or text", str(column.dtype), "another label", where=where)


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
