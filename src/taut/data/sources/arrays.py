"""`FILE.npy`, `FILE.npz[:KEY]`, and SciPy's sparse `.npz`: NumPy's own formats, never unpickled.

A `.npz` of several arrays needs the name of one after a colon, or a label that names another one of
two. A sparse matrix that `scipy.sparse.save_npz` wrote is read as sparse rows.
"""

import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from taut.data.sources.files import existing_file, opened_file
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, refuse_columns, take_label
from taut.data.sources.sparse import is_sparse_archive, read_sparse_archive
from taut.errors import InputError, nearest

__all__ = ["choose_array", "read_npy", "read_npz", "split_key"]

# A header may claim more numbers than memory, let alone the file, holds.
_DAMAGED = (
    EOFError, MemoryError, OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_npy(source: str, request: Request) -> tuple[RawRows, ...]:
    """The one array of a `.npy` file."""
    refuse_columns(request, source)
    with opened_file(source) as file:
        _check_start(file.read(6), b"\x93NUMPY", "npy", source)
        file.seek(0)
        try:
            values = np.load(file, allow_pickle=False)
        except _DAMAGED as error:
            raise _damaged(source, "npy", error) from error
    return (RawRows(values=numeric_rows(values, source), where=source),)


def read_npz(source: str, request: Request) -> tuple[RawRows, ...]:
    """One array of a `.npz` file, and another as labels where the request names one."""
    path, key = split_key(source, ".npz")
    file = existing_file(path)
    with file.open("rb") as opened:
        _check_start(opened.read(2), b"PK", "npz", path)
    try:
        # Opened here, as NumPy leaves a file open that turns out to be damaged.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            names = list(archive.files)
            if key is None and is_sparse_archive(set(names)):
                refuse_columns(request, source)
                return (read_sparse_archive(file, set(names), source),)
            chosen, label = choose_array(names, key, request, path)
            values, labels = archive[chosen], archive[label] if label else None
    except InputError:
        raise
    except _DAMAGED as error:
        raise _damaged(source, "npz", error) from error
    values = numeric_rows(values, f"{path}:{chosen}")
    if labels is not None:
        labels = take_label(labels, len(values), f"{path}:{label}")
    return (RawRows(values=values, where=f"{path}:{chosen}", labels=labels, label_name=label),)


def split_key(source: str, ending: str) -> tuple[str, str | None]:
    """`a/b.npz:key` as (`a/b.npz`, `key`); None without a key."""
    at = source.lower().rfind(ending + ":")
    if at < 0:
        return source, None
    return source[: at + len(ending)], source[at + len(ending) + 1 :]


def choose_array(
    names: Sequence[str], key: str | None, request: Request, path: str
) -> tuple[str, str | None]:
    """The names of the array of rows and of the array of labels, if any.

    Raises:
        InputError: a key or label that is no array's name; several arrays and no key.
    """
    for name, what in ((key, "an array"), (request.label, "a label")):
        if name is not None and name not in names and not (what == "a label" and request.rows_only):
            raise InputError(
                f"{what} among {', '.join(sorted(names))}",
                f"'{name}'",
                nearest(name, names),
                where=path,
            )
    label = request.label if request.label in names else None
    refuse_columns(request._replace(label=None), path)
    others = [n for n in names if n != label]
    if key is None and len(others) != 1:
        found = f"{len(others)}: {', '.join(others)}" if others else "none"
        raise InputError(
            "one array", found, f"{path}:{others[0] if others else 'NAME'}", where=path
        )
    return key or others[0], label


def _check_start(first: bytes, magic: bytes, kind: str, where: str) -> None:
    if first != magic:
        raise InputError(
            f"a .{kind} file, which begins with {magic!r}",
            f"one that begins with {first!r}",
            "writing it with NumPy, or the ending that belongs to its format",
            where=where,
        )


def _damaged(source: str, kind: str, error: Exception) -> InputError:
    if "allow_pickle" in str(error):
        return InputError(
            "an array of numbers",
            "an array of Python objects, which only running code from the file could read",
            "saving it again as numbers",
            where=source,
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"a whole .{kind} file",
        f"one that is damaged or cut short ({reason.rstrip('.')})",
        "fetching or writing it again",
        where=source,
    )
