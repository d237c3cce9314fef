"""Cells of columns: from what a source has to the numbers of a data set, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.data.kinds import Column
from taut.data.number_names import name_codes, number_name
from taut.data.rounding import refuse_blurred, times_note
from taut.data.sources.dates import date_text, is_zoned
from taut.data.sources.raw_rows import RawRows, Unit, more_such_cells
from taut.data.sources.words import BOOLEAN
from taut.data.timeline import STEPS, dated_text, held_dates
from taut.errors import InputError, nearest, option

__all__ = ["as_written", "check_unseen", "column_values", "values_by_column"]


def check_unseen(unseen: str, *, where: str = "unseen") -> None:
    """Refuse a word that names no treatment of categories, or classes, that a schema does not have."""
    if unseen not in ("refuse", "missing"):
        raise InputError(
            "one of refuse, missing", f"'{unseen}'", nearest(unseen, ("refuse", "missing")),
            where=where,
        )  # fmt: skip


def column_values(
    rows: RawRows, columns: Sequence[Column], dtype: str, *, unseen: str = "refuse"
) -> Float[np.ndarray, "N D"]:
    """The rows as a data set holds them: numbers as they are, codes for categories, NaN for holes.

    Arguments:
        rows: of a source.
        columns: what the columns are.
        dtype: of the result.
        unseen: what to do about categories that a column does not have: `refuse`, or `missing`.

    Raises:
        InputError: a value that its column's kind does not have, with its place.
    """
    return _held(rows, _exact_values(rows, columns, unseen), columns, dtype)


def values_by_column(
    parts: Sequence[RawRows], columns: Sequence[Column], dtype: str
) -> tuple[list[RawRows], tuple[str, ...]]:
    """The parts of a source that decided its columns, as a data set holds them, and notes of its dates.

    Arguments:
        parts: of a source.
        columns: what the columns are.
        dtype: of the results.

    Raises:
        InputError: as `column_values`; a column whose numbers the dtype rounds together.
    """
    names, read = parts[0].columns or (), []
    for part in parts:
        exact = _exact_values(part, columns, "refuse")
        x = _held(part, exact, columns, dtype, decided=True)
        for i, column in enumerate(columns):
            where = f"{part.where}, column '{names[i]}'"
            refuse_blurred(exact[:, i], x[:, i], where, column.kind)
        read.append(replace(part, values=x, names=None))
    return read, times_note([part.values for part in read], columns, names)


def _exact_values(
    rows: RawRows, columns: Sequence[Column], unseen: str
) -> Float[np.ndarray, "N D"]:
    """The numbers of a source by the kinds of its columns, in float64."""
    x = np.empty(rows.values.shape)
    for i, column in enumerate(columns):
        values, own = rows.values[:, i], None if rows.names is None else rows.names[i]
        if column.names:
            values = _coded(rows, i, values, own, column, unseen)
        elif own:
            _refuse(rows, i, ~np.isnan(values), "a number", f"'{own[0]}'")
        elif rows.units is not None:
            values = _in_units(rows, i, column, rows.units[i])
        known = ~np.isnan(values)
        bad = {
            "positive": values <= 0,
            "count": (values < 0) | (values != np.rint(values)),
            "binary": (values != 0) & (values != 1),
        }.get(column.kind)
        if bad is not None and (bad & known).any():
            first = values[np.flatnonzero(bad & known)[0]]
            _refuse(rows, i, bad & known, f"a value of kind {column.kind}", f"{first:g}")
        x[:, i] = values
    return x


def _held(
    rows: RawRows,
    exact: Float[np.ndarray, "N D"],
    columns: Sequence[Column],
    dtype: str,
    *,
    decided: bool = False,
) -> Float[np.ndarray, "N D"]:
    """These numbers in a type, which must hold counts exactly, and positive numbers as such.

    Where they decided what the columns are, another type may be chosen, or a column left out.
    """
    x = np.empty(exact.shape, dtype)
    for i, column in enumerate(columns):
        values = exact[:, i]
        if column.form:
            values = held_dates(
                values, dtype, unit=column.unit, form=column.form, origin=column.origin
            )
        with np.errstate(over="ignore"):
            x[:, i] = values
        lost = ~np.isfinite(x[:, i])
        if column.kind == "count":
            lost |= x[:, i] != exact[:, i]
        elif column.kind == "positive":
            lost |= x[:, i] == 0
        lost &= ~np.isnan(exact[:, i])
        if lost.any():
            first = exact[np.flatnonzero(lost)[0], i]
            drop = option("drop", [(rows.columns or ())[i]])
            precise = f"{option('precision', 'float64')}, or " if dtype == "float32" else ""
            _refuse(
                rows, i, lost, f"a number that {dtype} holds", f"{first:.17g}",
                f"{precise}{drop}" if decided else None,
            )  # fmt: skip
    return x


def _in_units(rows: RawRows, i: int, column: Column, own: Unit) -> Float[np.ndarray, " N"]:
    """The numbers in the unit of the column, in which a table has them that names no unit."""
    values = rows.values[:, i].astype(np.float64)
    known = ~np.isnan(values)
    if known.any() and bool(own.form) != bool(column.form):
        got = date_text(float(values[known][0]), own.form) if own.form else f"{values[known][0]:g}"
        began = date_text(column.origin, column.form) if column.form else ""
        _refuse(rows, i, known, f"a date such as {began}" if began else "a number", f"'{got}'")
    if known.any() and is_zoned(own.form) != is_zoned(column.form):
        got = date_text(float(values[known][0]), own.form)
        wish = "a date with its offset" if is_zoned(column.form) else "a date without an offset"
        remedy = f"dates as at the fit, such as {date_text(column.origin, column.form)}"
        _refuse(rows, i, known, f"{wish} from UTC", f"'{got}'", remedy)
    if column.form:
        return (values - column.origin) / STEPS[column.unit]
    if known.any() and own.name not in ("", column.unit):
        _refuse(rows, i, known, f"numbers in {column.unit or 'no unit'}", f"those in {own.name}")
    return values


def _coded(
    rows: RawRows,
    i: int,
    values: np.ndarray,
    own: tuple[str, ...] | None,
    column: Column,
    unseen: str,
) -> Float[np.ndarray, " N"]:
    """Codes among the column's names, from codes among a part's own or from numbers."""
    known = ~np.isnan(values.astype(np.float64))
    if own:
        texts = [own[int(v)] if k else "" for v, k in zip(values, known, strict=True)]
    else:
        texts = [number_name(v) if k else "" for v, k in zip(values, known, strict=True)]
    same = str.lower if column.kind == "binary" else str
    codes = name_codes(texts, column.names, same=same).astype(np.float64)
    codes[~known | ((codes < 0) & (unseen == "missing"))] = np.nan
    if (new := codes < 0).any():
        text = texts[int(np.flatnonzero(new)[0])]
        _refuse(
            rows, i, new, f"one of the {len(column.names)} values that the fit has seen", f"'{text}'",
            nearest(text, column.names),
        )  # fmt: skip
    return codes


def _refuse(
    rows: RawRows, i: int, bad: np.ndarray, expected: str, got: str, remedy: str | None = None
) -> None:
    row = int(np.flatnonzero(bad)[0])
    got += more_such_cells(int(bad.sum()) - 1)
    raise InputError(
        expected, got, remedy or "the kind of values that the column had at the fit",
        where=f"{rows.where}, {rows.place(row, [i])}",
    )  # fmt: skip


def as_written(x: Float[np.ndarray, "N D"], columns: Sequence[Column]) -> tuple[list[Any], ...]:
    """The columns as a source has them: names for codes, Booleans, whole counts, None for holes.

    A mean of codes, such as the probability of yes, has the name of the nearest one.
    """
    return tuple(_written(values, column) for values, column in zip(x.T, columns, strict=True))


def _written(values: Float[np.ndarray, " N"], column: Column) -> list[Any]:
    known = ~np.isnan(values)
    if texts := (False, True) if column.words == BOOLEAN else column.words or column.names:
        return [texts[round(float(v))] if k else None for v, k in zip(values, known, strict=True)]
    if column.form:
        return [_date(float(v), column) if k else None for v, k in zip(values, known, strict=True)]
    whole = column.kind in ("count", "binary") and (values[known] % 1 == 0).all()
    number = int if whole else _shortest
    return [number(v) if k else None for v, k in zip(values, known, strict=True)]


def _date(x: float, column: Column) -> str:
    return dated_text(x, unit=column.unit, form=column.form, origin=column.origin)


def _shortest(value: np.floating) -> float:
    """The number of fewest digits that its type tells from all others: 0.1 and not 0.10000000149."""
    return float(str(value))
