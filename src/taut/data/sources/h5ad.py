"""`FILE.h5ad[:LAYER]`: the matrix of an AnnData file, its variables as columns.

    X, layers/LAYER      compressed sparse rows or columns, or an array
    var                  names of the columns, under the name in its attribute `_index`
    obs                  a column for each label: numbers, text, or categories

Other parts of the file are not read. h5py does the reading, which the extra `anndata` brings.

Source: the on-disk format of AnnData 0.7 and later, version 0.1.0 of its elements.
"""

from typing import Any

import numpy as np

from taut.data.sources.annotated import annotated_rows
from taut.data.sources.arrays import split_key
from taut.data.sources.files import existing_file
from taut.data.sources.raw_rows import RawRows, Request
from taut.data.sources.sparse import broken
from taut.errors import InputError, nearest

__all__ = ["read_h5ad"]

_SPARSE = {"csr_matrix": "csr_array", "csc_matrix": "csc_array"}


def read_h5ad(source: str, request: Request) -> tuple[RawRows, ...]:
    """The matrix X of the file, or one of its layers.

    Raises:
        InputError: no h5py; a file that is no AnnData file, or a damaged or older one; a layer, column
            or label that is not there.
    """
    path, layer = split_key(source, ".h5ad")
    file = existing_file(path)
    try:
        import h5py
    except ImportError:
        raise InputError(
            "h5py, which reads .h5ad files", "none installed", "`pip install 'taut[anndata]'`",
            where=path,
        ) from None  # fmt: skip
    try:
        with h5py.File(file, "r") as opened:
            return (_rows(opened, layer, request, path),)
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise broken(path, ".h5ad file", error) from error


def _rows(opened: Any, layer: str | None, request: Request, path: str) -> RawRows:
    layers = sorted(opened.get("layers", ()))
    if layer is not None and layer not in layers:
        known = f"a layer among {', '.join(layers)}" if layers else "no layer, as the file has none"
        remedy = f"{path}:{nearest(layer, layers)}" if layers else path
        raise InputError(known, f"'{layer}'", remedy, where=path)
    where = path if layer is None else f"{path}:{layer}"
    matrix = _matrix(opened["X" if layer is None else f"layers/{layer}"])
    obs = opened["obs"]
    labels = {n: lambda n=n: _column(obs[n]) for n in obs if n != obs.attrs["_index"]}
    return annotated_rows(matrix, _index(opened["var"]), labels, request, where, path)


def _matrix(stored: Any) -> Any:
    """A sparse matrix, or an array."""
    import scipy.sparse

    form = stored.attrs.get("encoding-type", stored.attrs.get("h5sparse_format", "array"))
    form = form if str(form).endswith("_matrix") or form == "array" else f"{form}_matrix"
    if form == "array":
        return stored[()]
    shape = stored.attrs["shape"] if "shape" in stored.attrs else stored.attrs["h5sparse_shape"]
    parts = tuple(stored[name][()] for name in ("data", "indices", "indptr"))
    matrix = getattr(scipy.sparse, _SPARSE[form])(parts, shape=tuple(int(n) for n in shape))
    matrix.check_format(full_check=True)  # before rows or columns of it are chosen
    return matrix.tocsr()


def _index(table: Any) -> list[str]:
    """The names of a table's rows."""
    return [str(name) for name in _column(table[table.attrs["_index"]])]


def _column(stored: Any) -> np.ndarray:
    """One column of a table: numbers, NaN where one is missing, or text, empty where it is."""
    if "categories" in stored:
        names, codes = _column(stored["categories"]), stored["codes"][()]
        missing = np.array("" if names.dtype.kind == "U" else np.nan)
        return np.where(codes < 0, missing, names[np.maximum(codes, 0)])
    if "values" in stored:
        values, hidden = _column(stored["values"]), stored["mask"][()]
        return np.where(hidden, "" if values.dtype.kind == "U" else np.nan, values)
    if stored.dtype.kind in "OSU":
        return np.asarray(stored.asstr()[()], dtype=str)
    return stored[()]
