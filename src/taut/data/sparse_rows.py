"""`SparseRows`: rows held without their zeros, and made dense as they are taken.

    rows[i], rows[i : j], rows[numbers], np.asarray(rows)     dense, of `dtype`
    rows.select(numbers)                                      sparse

They are compressed sparse rows: a value and a column for each cell that is stored, none of which is
zero, and for each row where its cells begin. Whoever takes a batch of an array's rows takes one of these
and holds no more than the batch.
"""

from typing import Any

import numpy as np
from jaxtyping import Shaped

__all__ = ["SparseRows", "column_extremes", "joined", "selected"]


class SparseRows:
    """Rows of one form, (N, D).

    Arguments:
        matrix: a `scipy.sparse.csr_array` without duplicates and stored zeros; see `SparseRows.of`.
        dtype: of the rows that are made; None for that of the stored cells.
    """

    ndim = 2

    def __init__(self, matrix: Any, dtype: Any = None):
        self.matrix = matrix
        self.dtype = np.dtype(matrix.dtype if dtype is None else dtype)

    @classmethod
    def of(cls, matrix: Any) -> "SparseRows":
        """Rows of any sparse matrix of numbers, whose parts are not written to.

        Raises:
            ValueError: indices that point out of the matrix, which compiled code would follow.
        """
        from scipy.sparse import csr_array

        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
        rows = csr_array(matrix, dtype=np.uint8 if matrix.dtype == bool else None)
        if not rows.has_canonical_format or not rows.data.all():
            rows = rows.copy()
            rows.sum_duplicates()
            rows.eliminate_zeros()
        return cls(rows)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self.matrix.shape

    @property
    def size(self) -> int:
        """Cells, stored or zero."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        parts = (self.matrix.data, self.matrix.indices, self.matrix.indptr)
        return sum(part.nbytes for part in parts)

    @property
    def stored(self) -> Shaped[np.ndarray, " n"]:
        """The values of the cells that are stored, and one zero where others are not."""
        data = self.matrix.data
        return np.append(data, data.dtype.type(0)) if self.matrix.nnz < self.size else data

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Shaped[np.ndarray, "..."]:
        """Some rows, dense: by a number, a slice, numbers, or a boolean array."""
        return self.matrix[rows].toarray().astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def __repr__(self) -> str:
        return f"SparseRows({self.shape}, {self.dtype}, {self.matrix.nnz} cells stored)"

    def astype(self, dtype: Any, copy: bool = False) -> "SparseRows":
        """The same rows, made in another type; the stored cells are shared."""
        return SparseRows(self.matrix, dtype)

    def select(self, rows: Any) -> "SparseRows":
        """Some rows, sparse: by a slice, numbers, or a boolean array."""
        return SparseRows(self.matrix[rows], self.dtype)

    def narrowed(self) -> "SparseRows":
        """The same rows of counts in the narrowest type that holds them."""
        narrow = np.min_scalar_type(int(self.matrix.data.max(initial=0)))
        return SparseRows(self.matrix.astype(narrow))

    def place(self, stored: int) -> tuple[int, int]:
        """Row and column of a cell by its position among the stored ones."""
        row = int(np.searchsorted(self.matrix.indptr, stored, side="right")) - 1
        return row, int(self.matrix.indices[stored])


def selected(cells: Any, rows: Any) -> Any:
    """Some rows of an array, or of sparse rows as such."""
    return cells.select(rows) if isinstance(cells, SparseRows) else cells[rows]


def column_extremes(
    cells: Shaped[np.ndarray, "N ..."] | SparseRows,
) -> tuple[Shaped[np.ndarray, "..."], Shaped[np.ndarray, "..."]]:
    """The least and the largest value of every cell of a row that are there; NaN for none."""
    if not isinstance(cells, SparseRows):
        return np.fmin.reduce(cells), np.fmax.reduce(cells)
    matrix = cells.matrix
    return matrix.min(axis=0).toarray(), matrix.max(axis=0).toarray()


def joined(cells: list[Any]) -> Any:
    """Rows one after another: arrays, or sparse rows of one dtype."""
    if len(cells) == 1:
        return cells[0]
    if not all(isinstance(part, SparseRows) for part in cells):
        return np.concatenate([np.asarray(part) for part in cells])
    from scipy.sparse import vstack

    return SparseRows(vstack([part.matrix for part in cells], format="csr"))
