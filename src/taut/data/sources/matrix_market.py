"""`FILE.mtx[.gz]`: Matrix Market, its coordinates as sparse rows and its arrays as a table.

Single-cell pipelines write a row for each gene and a column for each cell, with the names of both in
tables beside the matrix, `features.tsv` (or `genes.tsv`) and `barcodes.tsv`. Where the matrix has as
many rows as the first names and as many columns as the second, it is read the other way about, one row
for each cell, and a note says so.

Source: Boisvert, Pozo and Remington, The Matrix Market exchange formats: initial design (NIST, 1996).
"""

from pathlib import Path
from typing import Any

from taut.data.sources.files import existing_file, file_bytes
from taut.data.sources.frame import choose_columns
from taut.data.sources.raw_rows import RawRows, Request, refuse_columns
from taut.data.sources.sparse import broken, matrix_rows

__all__ = ["read_matrix_market"]

_FEATURES, _CELLS = ("features.tsv", "genes.tsv"), ("barcodes.tsv",)


def read_matrix_market(source: str, request: Request) -> tuple[RawRows, ...]:
    """The one matrix of the file.

    Raises:
        InputError: a damaged file or one of another format; complex numbers.
    """
    import scipy.io
    import scipy.sparse

    file = existing_file(source)
    try:
        matrix: Any = scipy.io.mmread(file, spmatrix=False)
    except (EOFError, MemoryError, OSError, OverflowError, TypeError, ValueError) as error:
        raise broken(source, "Matrix Market file", error) from error
    genes, cells = _names(file, _FEATURES), _names(file, _CELLS)
    if matrix.shape != (len(genes), len(cells)):
        refuse_columns(request, source)
        return (matrix_rows(matrix, source),)
    data, _ = choose_columns(genes, request, source)
    place = {name: i for i, name in enumerate(genes)}
    rows = matrix.tocsr() if scipy.sparse.issparse(matrix) else matrix
    chosen = matrix.T if data == genes else rows[[place[n] for n in data]].T
    note = (
        f"{source}: {len(cells)} barcodes lie beside it, so that its columns are read as the rows"
    )
    return (matrix_rows(chosen, source, columns=tuple(data), notes=(note,)),)


def _names(beside: Path, files: tuple[str, ...]) -> list[str]:
    """The first column of the first of these tables that lies beside a file; empty without one."""
    for name in (*files, *(f"{file}.gz" for file in files)):
        path = beside.with_name(name)
        if path.is_file():
            lines = file_bytes(str(path)).decode("utf-8", "replace").splitlines()
            return [line.split("\t")[0] for line in lines]
    return []
