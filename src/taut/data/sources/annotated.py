"""AnnData: a matrix whose rows are observations and whose columns are named variables.

An object in memory is known by its parts, X, obs, var and obsm; `h5ad` reads the same from a file.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from taut.data.sources.frame import choose_columns
from taut.data.sources.raw_rows import RawRows, Request, take_label
from taut.data.sources.sparse import is_sparse, matrix_rows
from taut.errors import InputError, nearest

__all__ = ["annotated_rows", "is_annotated", "read_annotated"]


def is_annotated(source: Any) -> bool:
    """Whether an object is an AnnData, or has its parts."""
    return all(hasattr(source, part) for part in ("X", "obs", "var", "obsm"))


def read_annotated(source: Any, request: Request, where: str) -> RawRows:
    """The matrix X of an AnnData object, its variables as columns, an observation as label.

    Raises:
        InputError: no X, or what `annotated_rows` refuses.
    """
    if getattr(source, "isbacked", False):
        source = source.to_memory()
    if source.X is None:
        raise InputError("a matrix in X", "none", "X = layers[NAME] before", where=where)
    matrix = source.X if is_sparse(source.X) else np.asarray(source.X)
    labels = {str(name): lambda name=name: _label(source.obs[name]) for name in source.obs.columns}
    return annotated_rows(matrix, [str(n) for n in source.var_names], labels, request, where, where)


def annotated_rows(
    matrix: Any,
    names: list[str],
    labels: Mapping[str, Callable[[], np.ndarray]],
    request: Request,
    where: str,
    path: str,
) -> RawRows:
    """The rows of a matrix, sparse where it is.

    Arguments:
        matrix: observations by variables.
        names: of the variables.
        labels: what reads a column of observations, by name.
        request: what to take and leave.
        where: the matrix, for messages.
        path: the file or object, for messages.

    Raises:
        InputError: a column or label that is not there.
    """
    label = request.label if request.label in labels else None
    # A label is no column here, and one that is neither is refused among the observations.
    if request.label is not None and label is None and not request.rows_only:
        known = (
            f"a label among {', '.join(sorted(labels))}" if labels else "no label, as obs is empty"
        )
        remedy = nearest(request.label, labels) if labels else "leaving it out"
        raise InputError(known, f"'{request.label}'", remedy, where=path)
    data, _ = choose_columns(names, request._replace(label=None), path)
    if data != names:
        place = {name: i for i, name in enumerate(names)}
        matrix = (matrix.tocsr() if is_sparse(matrix) else matrix)[:, [place[n] for n in data]]
    values = None if label is None else take_label(labels[label](), matrix.shape[0], path)
    parts = {"columns": tuple(data), "labels": values, "label_name": label}
    return matrix_rows(matrix, where, **parts)


def _label(column: Any) -> np.ndarray:
    """A column of a pandas frame: numbers, NaN where one is missing, or text, empty where it is."""
    missing, values = np.asarray(column.isna()), column.astype(object)
    if any(isinstance(value, str) for value in values):
        return np.array(["" if m else str(v) for v, m in zip(values, missing, strict=True)])
    return np.array([np.nan if m else float(v) for v, m in zip(values, missing, strict=True)])
