"""Rows handed to a figure: checked once, in one place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from taut.core import InputError

__all__ = ["checked_columns", "checked_rows"]


def checked_rows(x: Any, shape: tuple[int, ...], *, leading: int = 1, where: str) -> np.ndarray:
    """Rows as float64, if there are any and they have the shape of a row.

    Arguments:
        x: rows, (..., *shape).
        shape: of one row.
        leading: number of axes in front of the row's own.
        where: for the message.

    Raises:
        InputError: another shape, or nothing to draw.
    """
    array = np.asarray(x)
    fits = array.ndim == leading + len(shape) and array.shape[leading:] == tuple(shape)
    if not fits or array.size == 0:
        axes = ", ".join(["rows", "points"][:leading])
        raise InputError(
            f"at least one row in an array of shape ({axes}, {', '.join(map(str, shape))})",
            f"shape {array.shape}",
            "the rows of one data set, leading axis first",
            where=where,
        )
    return array.astype(np.float64)


def checked_columns(columns: Sequence[str] | None, count: int, *, where: str) -> list[str]:
    """The columns' names, x0, x1, ... where there are none.

    Raises:
        InputError: another number of names than columns.
    """
    if columns is None:
        return [f"x{i}" for i in range(count)]
    if len(columns) != count:
        raise InputError(f"{count} column names", f"{len(columns)}", "columns=None", where=where)
    return list(columns)
