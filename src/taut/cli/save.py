"""Results of the commands on disk: pictures, tables and arrays, each in one step.

Of several files one is the result and is written first; what an earlier call has left beside it goes
before that, also where the new call writes no such file. So whatever is there is of one call.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taut.errors import InputError, option

if TYPE_CHECKING:
    from taut.fitted import Fit

__all__ = [
    "check_folder",
    "check_suffix",
    "drawn_where_possible",
    "free_names",
    "remove_beside",
    "save_figure",
    "save_table",
]


def check_folder(path: Path) -> Path:
    """The path, if it is a folder that can be written, or one can be made there."""
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not nearest.is_dir():
        raise InputError("a folder", f"{nearest}, a file", f"another {option('out')}", where="out")
    _check_writable(nearest)
    return path


def check_suffix(path: Path, allowed: Sequence[str]) -> Path:
    """The path, if its ending is one of these, its folder exists, and such files can be written."""
    if path.suffix not in allowed:
        raise InputError(
            f"a file ending in {', '.join(allowed)}", repr(path.name), f"{path.stem}{allowed[0]}",
            where="out",
        )  # fmt: skip
    if not path.parent.is_dir():
        raise InputError("a folder that exists", f"{path.parent}", "making it first", where="out")
    _check_writable(path.parent)
    if path.suffix == ".parquet":
        from taut.data.sources import need_polars

        need_polars(f"{path}")
    return path


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise InputError(
            "a folder that can be written", f"{folder}", f"another {option('out')}", where="out"
        )


def drawn_where_possible(path: Path, draw: Callable[[Path], Path]) -> Path | None:
    """A figure beside numbers that are printed anyway; None, and a note, where it cannot be written."""
    try:
        path.parent.mkdir(exist_ok=True)
        return draw(path)
    except OSError as error:
        print(f"note: {path} is not written: {error.strerror or error}", file=sys.stderr)
        return None


def remove_beside(paths: Iterable[Path]) -> None:
    """Remove the files of an earlier call that stand beside a result which is about to be replaced.

    What cannot be removed cannot be replaced either, of which writing it tells.

    Arguments:
        paths: all files that a call of the command may write after the result.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def save_figure(name: str, path: Path, *arrays: Any, of: "Fit", **more: Any) -> None:
    """Draw one of the figures of `taut.report.figures` of a fit's rows."""
    from taut.report import figures
    from taut.report.draw_fit import row_form

    getattr(figures, name)(path, *arrays, **row_form(of.schema), **more)


def free_names(wished: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of columns that a command adds: as wished or, where one is taken, with `_` after it.

    Arguments:
        wished: by the command.
        taken: names in the data, which keep them.
    """
    found: list[str] = []
    for name in wished:
        while name in taken or name in found:
            name += "_"
        found.append(name)
    return found


def save_table(
    path: Path,
    table: Any,
    columns: Sequence[str],
    *,
    array: Any = None,
    index: Any = None,
    label: Any = None,
    as_came: bool = False,
) -> None:
    """Write rows as .csv or .parquet with named columns, or as .npy in their own shape.

    Arguments:
        path: the ending decides.
        table: (N, D), or D columns.
        columns: D different names.
        array: what .npy holds; `table` when None.
        index: rows' numbers in their data set, a first column `row` of the table, or `row_` where
            `columns` has that name.
        label: their labels, a second column, named likewise.
        as_came: write 70 in .csv for a whole number among real ones, as tables of such have it.
    """
    import numpy as np

    from taut.core import write_csv

    if path.suffix == ".npy":
        content = table if array is None else array
        _write(path, lambda buffer: np.save(buffer, content, allow_pickle=False))
        return
    extra = {"row": index, "label": label}
    extra = {name: v for name, v in extra.items() if v is not None}
    named = dict(zip(free_names([*extra], columns), extra.values(), strict=True))
    cells = table if isinstance(table, tuple) else np.asarray(table).T
    named |= dict(zip(columns, cells, strict=True))
    if path.suffix == ".csv":
        write_csv(path, named, whole_as_such=as_came)
        return
    import polars as pl

    _write(path, pl.DataFrame(named).write_parquet)


def _write(path: Path, write: Callable[[Any], object]) -> None:
    """Write into a buffer, and the buffer as a file in one step."""
    import io

    from taut.core import write_atomically

    buffer = io.BytesIO()
    write(buffer)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))
