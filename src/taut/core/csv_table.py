"""Named columns as a CSV file.

Numbers have the fewest digits that tell them from all others of their type. A missing cell is empty, NaN
is `NaN`, truths are `true` and `false`.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taut.core.files import write_atomically

__all__ = ["write_csv"]


def write_csv(path: Path | str, columns: Mapping[str, Any], *, whole_as_such: bool = False) -> Path:
    """Write a table in one step.

    Arguments:
        path: the file; its folder must exist.
        columns: arrays or lists of N numbers, truths or texts each, by name; None for a missing cell.
        whole_as_such: write 70 for 70.0.

    Returns:
        the path.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file is untouched.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_texts(c, whole_as_such) for c in columns.values()), strict=True))
    return write_atomically(path, lambda file: file.write(buffer.getvalue().encode()))


def _texts(column: Any, whole_as_such: bool) -> Sequence[str]:
    """The cells of a column in words."""
    if not isinstance(column, np.ndarray) or column.dtype.kind != "f":
        return [_text(cell, whole_as_such) for cell in _plain(column)]
    words = column.astype("U32").astype(object)
    words[np.isnan(column)] = "NaN"
    if whole_as_such:
        whole = np.isfinite(column) & (column == np.rint(column))
        words[whole] = [str(int(value)) for value in column[whole].tolist()]
    return words.tolist()


def _plain(column: Any) -> Iterable[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _text(cell: Any, whole_as_such: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating):
        if np.isnan(cell):
            return "NaN"
        return str(int(cell)) if whole_as_such and cell == np.rint(cell) < np.inf else str(cell)
    return str(cell)
