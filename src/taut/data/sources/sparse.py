"""Sparse matrices as rows: of SciPy, in memory and as `save_npz` writes them.

A format that holds a matrix sparse or dense means the same by both: one of whole numbers alone holds
counts, of whatever type they are.
"""

import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from taut.data.slabs import slabs
from taut.data.sources.raw_rows import RawRows, check_form, numeric_rows
from taut.data.sparse_rows import SparseRows
from taut.errors import InputError

__all__ = [
    "all_whole",
    "broken",
    "is_sparse",
    "is_sparse_archive",
    "matrix_rows",
    "read_sparse_archive",
    "sparse_rows",
]

_PARTS = {"data", "indices", "indptr", "shape"}
_BROKEN = (EOFError, KeyError, MemoryError, OSError, TypeError, ValueError,
           zipfile.BadZipFile, zlib.error)  # fmt: skip


def is_sparse(source: Any) -> bool:
    """Whether an object is a sparse matrix or array of SciPy, which is not imported for it."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and sparse.issparse(source)


def sparse_rows(matrix: Any, where: str, **parts: Any) -> RawRows:
    """The rows of a sparse matrix.

    Arguments:
        matrix: of SciPy, of any format.
        where: for messages.
        parts: other fields of `RawRows`.

    Raises:
        InputError: no numbers, another rank, no rows; indices that point out of it.
    """
    check_form(matrix.shape, matrix.dtype, where)
    try:
        values = SparseRows.of(matrix)
    except ValueError as error:
        raise broken(where, "sparse matrix", error) from error
    return RawRows(values=values, where=where, **parts)


def matrix_rows(matrix: Any, where: str, **parts: Any) -> RawRows:
    """The rows of a matrix that its format may hold sparse or dense; arguments as of `sparse_rows`.

    Raises:
        InputError: no numbers, another rank, no rows.
    """
    if is_sparse(matrix):
        return sparse_rows(matrix, where, **parts)
    values = numeric_rows(matrix, where)
    return RawRows(values=values, where=where, whole=all_whole(values), **parts)


def all_whole(values: Shaped[np.ndarray, "N ..."]) -> bool:
    """Whether every cell is a whole number, and none is missing."""
    parts = (values[slab] for slab in slabs(values.shape))
    return all((part == np.rint(part)).all() for part in parts)


def is_sparse_archive(names: set[str]) -> bool:
    """Whether arrays of these names are a sparse matrix of `scipy.sparse.save_npz`."""
    return names >= {"data", "shape", "format"} or names == _PARTS


def read_sparse_archive(file: Path, names: set[str], where: str) -> RawRows:
    """The matrix of a `.npz` file; one without a format is of compressed sparse rows.

    Raises:
        InputError: a damaged file, or what `sparse_rows` refuses.
    """
    import scipy.sparse

    try:
        if "format" in names:
            return sparse_rows(scipy.sparse.load_npz(file), where)
        with np.load(file, allow_pickle=False) as archive:
            parts = tuple(archive[name] for name in ("data", "indices", "indptr"))
            matrix = scipy.sparse.csr_array(parts, shape=tuple(archive["shape"]))
        return sparse_rows(matrix, where)
    except InputError:
        raise
    except _BROKEN as error:
        raise broken(where, ".npz file of a sparse matrix", error) from error


def broken(where: str, kind: str, error: Exception) -> InputError:
    """The message for a file that is no whole one of its kind."""
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return InputError(
        f"a whole {kind}",
        f"one that is damaged, cut short or of another format ({reason})",
        "fetching or writing it again",
        where=where,
    )
