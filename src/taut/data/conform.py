"""Rows in the form that a request or a schema asks for."""

import math
from collections.abc import Sequence
from dataclasses import replace

from taut.data.schema import Schema
from taut.data.sources.raw_rows import RawRows
from taut.errors import InputError, counted, option

__all__ = ["as_images", "as_schema", "check_unfolds", "refuse_unlike"]


def as_images(rows: RawRows, shape: tuple[int, ...] | None) -> RawRows:
    """Flat rows as images of `shape`, row-major; unchanged for None.

    Raises:
        InputError: rows that hold another number of cells.
    """
    if shape is None or rows.values.shape[1:] == shape:
        return rows
    check_unfolds(rows.values.shape[1:], shape, rows.where)
    return replace(rows, values=rows.values.reshape(len(rows), *shape), columns=None)


def check_unfolds(row: tuple[int, ...], shape: tuple[int, ...], where: str) -> None:
    """Refuse an image shape that rows of shape `row` cannot be unfolded to."""
    if len(row) != 1 or row[0] != math.prod(shape):
        raise InputError(
            f"rows of {counted(math.prod(shape), 'cell')} for images of shape {shape}",
            f"rows of shape {row}",
            "an image shape whose product is their length",
            where=f"{where}, {option('image_shape')}",
        )


def as_schema(rows: RawRows, schema: Schema) -> RawRows:
    """The rows in the shape of a schema, with its kind of label or none.

    Flat images are unfolded; a single channel is added or left out.

    Raises:
        InputError: rows of another shape.
    """
    shape = rows.values.shape[1:]
    unfolded = schema.kind == "image" and shape == (schema.size,)
    one_channel = shape in (schema.shape[:-1], (*schema.shape, 1)) and schema.size == math.prod(
        shape
    )
    if not (shape == schema.shape or unfolded or one_channel):
        raise InputError(
            f"rows of shape {schema.shape}, as in '{schema.name}'",
            f"rows of shape {shape}",
            "data of the form that the model was fitted to",
            where=rows.where,
        )
    columns = schema.columns if schema.kind == "table" else None
    labels = rows.labels if rows.label_name == schema.label_name else None
    values = rows.values
    if shape != schema.shape:
        values = values.reshape(len(rows), *schema.shape)
    return replace(rows, values=values, columns=columns, labels=labels)


def refuse_unlike(parts: Sequence[RawRows]) -> None:
    """Refuse parts whose rows differ in shape, or of which some have labels and some have none."""
    first = parts[0]
    for part in parts[1:]:
        if part.values.shape[1:] != first.values.shape[1:]:
            raise InputError(
                f"rows of shape {first.values.shape[1:]}, as in {first.where}",
                f"{part.values.shape[1:]}",
                "three parts of one data set",
                where=part.where,
            )
        if (part.labels is None) != (first.labels is None):
            raise InputError(
                f"labels {'as' if part.labels is None else 'nowhere, as'} in {first.where}",
                "none" if part.labels is None else "some",
                "three parts of one data set",
                where=part.where,
            )
