"""A cell in the words of its source, for messages and tables: 'Ulm', 2020-02-01, 7."""

import numpy as np

from taut.data.column_values import as_written
from taut.data.schema import Schema

__all__ = ["cell_words"]


def cell_words(schema: Schema, column: int, value: float | int) -> str:
    """A value of a table's column: the name of a category, in quotes, a date, or a number, such as a
    code that the column does not have.

    Arguments:
        schema: the form of a row.
        column: its place, counted from 0.
        value: as `Dataset.x` holds it; not NaN.
    """
    columns = schema.written
    if columns is None:
        return f"{value:g}"
    own = columns[column]
    names = own.words or own.names
    if value in range(len(names)):
        return f"'{names[int(value)]}'"
    if not own.form:
        return f"{value:g}"
    ((text,),) = as_written(np.full((1, 1), float(value)), [own])
    return f"{text}"
