"""One row of which some cells are named: `age=40, sex=F` in the form that a data set holds."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.data.cell_words import cell_words
from taut.data.more_rows import load_rows
from taut.data.schema import Schema
from taut.data.sources import NamedColumns, need_polars
from taut.data.sources.words import MISSING_WORDS
from taut.errors import InputError, nearest

__all__ = ["named_values", "row_of"]


def named_values(texts: Sequence[str], columns: Sequence[str], *, where: str) -> dict[str, str]:
    """`column=value` of options as a mapping; several in one text have commas between them.

    A comma that no name of a column and `=` follow belongs to the value.

    Raises:
        InputError: another form.
    """
    known = "|".join(re.escape(name) for name in sorted(columns, key=len, reverse=True))
    found: dict[str, str] = {}
    for text in texts:
        for part in re.split(rf",\s*(?=(?:{known})=)", text):
            name, sign, value = part.partition("=")
            if not sign or not name:
                raise InputError("column=value", f"'{part}'", f"{columns[0]}=1", where=where)
            found[name.strip()] = value.strip()
    return found


def row_of(values: Mapping[str, Any], schema: Schema, *, where: str) -> Float[np.ndarray, " D"]:
    """A row of a table, in the units of `Dataset.x`, with NaN in the cells that are not named.

    Arguments:
        values: of some columns, as their source has them: numbers, or the words of categories.
        schema: the form of the row.
        where: for messages.

    Raises:
        InputError: no table; no such column; a value that the column does not have.
    """
    if schema.kind != "table":
        raise InputError(
            "a table, whose cells have names", f"rows of shape {schema.shape}",
            "imputing rows with holes", where=where,
        )  # fmt: skip
    names = list(schema.columns or (f"x{i}" for i in range(schema.size)))
    row = np.full(schema.size, np.nan, schema.dtype)
    for name, value in values.items():
        if name not in names:
            raise InputError(
                "a column of the data", f"'{name}'", nearest(name, names), where=where
            )  # fmt: skip
        place = f"{where}, column '{name}'"
        i = names.index(name)
        row[i] = _cell(value, i, names, schema, place)
        constant = _constant(schema, i)
        if constant is not None and row[i] != constant:
            raise InputError(
                f"{cell_words(schema, i, constant)}, the one value of the column", f"{value}",
                "leaving it out", where=place,
            )  # fmt: skip
    return row


def _cell(value: Any, i: int, names: Sequence[str], schema: Schema, place: str) -> float:
    if str(value).strip().lower() in MISSING_WORDS:
        raise InputError("a value", f"'{value}', a missing one", "leaving it out", where=place)
    cell = str(value) if _texts(schema, i) else _number(_code(value, i, schema, place), place)
    if schema.columns is None:
        alone: Any = np.full((1, schema.size), np.nan)
        alone[0, i] = cell
    else:
        alone = _alone(cell, i, names, schema, place)
    try:
        found = float(load_rows(alone, schema).x[0, i])
    except InputError as error:
        raise error.at(place) from None
    if np.isnan(found):
        raise InputError(
            "a value", f"'{value}', which stands for none", "leaving it out", where=place
        )
    return found


def _alone(cell: str | float, i: int, names: Sequence[str], schema: Schema, place: str) -> Any:
    """A row with one cell, whose text is a name as it stands, or is a date or a measure to be read."""
    texts = [_texts(schema, j) for j in range(schema.size)]
    if schema.kinds is None or not schema.kinds[i].unit:
        empty = [np.array(["" if text else np.nan]) for text in texts]
        row = dict(zip(names, empty, strict=True)) | {names[i]: np.array([cell])}
        return NamedColumns(row)
    need_polars(place)
    import polars as pl

    types = [pl.String if text else pl.Float64 for text in texts]
    return pl.DataFrame(
        {name: [cell if j == i else None] for j, name in enumerate(names)},
        schema=dict(zip(names, types, strict=True)),
    )


def _code(value: Any, i: int, schema: Schema, place: str) -> Any:
    """0 or 1 where the source has words for these, such as false and true; else the value itself."""
    columns = schema.written
    words = [] if columns is None else [word.lower() for word in columns[i].words]
    word = str(value).strip().lower()
    if words and word not in (*words, "0", "1"):
        raise InputError(" or ".join(words), f"'{value}'", nearest(word, words), where=place)
    return words.index(word) if word in words else value


def _texts(schema: Schema, i: int) -> bool:
    """Whether a cell of the column is text: a name, a date, or a number with a unit."""
    if schema.kinds is None:
        return False
    own = schema.kinds[i]
    return bool(own.names or own.unit)


def _number(value: Any, place: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError("a number", f"'{value}'", "one", where=place) from None


def _constant(schema: Schema, i: int) -> float | None:
    if schema.kinds is not None:
        return schema.kinds[i].shift if schema.kinds[i].kind == "constant" else None
    return None if schema.constant is None else schema.constant[i]
