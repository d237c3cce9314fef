"""Rows that the model has no density for, in memory or on disk."""

import numpy as np

from taut.architectures import AbstractArchitecture
from taut.core import InputError
from taut.data import Dataset, StreamedRows

__all__ = ["check_rows"]


def check_rows(
    architecture: AbstractArchitecture, rows: Dataset | StreamedRows, *, where: str
) -> None:
    """Refuse rows outside the likelihood's support; rows on disk are passed over once.

    Raises:
        InputError: names the first bad row, on disk by its number in the file, and its cell.
    """
    if isinstance(rows, Dataset):
        architecture.check(rows.schema, rows.x, where=where)
        return
    for part in rows.parts():
        try:
            architecture.check(rows.schema, part.x, where=where)
        except InputError:
            _name_first(architecture, part, where)
            raise


def _name_first(architecture: AbstractArchitecture, part: Dataset, where: str) -> None:
    """Raise what is wrong with the first bad row of a part, under its number in the file."""
    for i in range(len(part)):
        try:
            architecture.check(part.schema, np.asarray(part.x[i : i + 1]), where=where)
        except InputError as error:
            place = (error.where or where).replace(", row 0", f", row {part.index[i]}")
            raise InputError(error.expected, error.got, error.remedy, where=place) from None
