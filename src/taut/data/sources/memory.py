"""Data in memory: an array, a sparse matrix, a data frame, one of them with labels, an AnnData, or three
that are split already."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from taut.data.sources.annotated import is_annotated, read_annotated
from taut.data.sources.frame import read_frame
from taut.data.sources.named_columns import NamedColumns, named_rows
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, refuse_columns
from taut.data.sources.sparse import is_sparse, sparse_rows
from taut.errors import InputError, counted

__all__ = ["read_memory"]

_NAME = "y"  # of labels that are no column


def read_memory(source: Any, request: Request) -> tuple[RawRows, ...]:
    """One part for an array, a data frame or nested lists of numbers, three for three of them.

    Rows and their labels, `(X, y)` or a `Bunch` of scikit-learn, are one part.

    Raises:
        InputError: anything else.
    """
    if isinstance(source, Mapping) and hasattr(source, "data"):  # a Bunch
        return (_labelled(source["data"], source.get("target"), request),)
    if isinstance(source, tuple) and len(source) == 2:
        return (_labelled(*source, request),)
    if isinstance(source, tuple | list) and len(source) == 3 and all(map(_is_table, source)):
        first = _one(source[0], request, "the first part")
        later = request._replace(drop=(), keep=first.columns) if first.columns else request
        return (
            first,
            _one(source[1], later, "the second part"),
            _one(source[2], later, "the third part"),
        )
    return (_one(source, request, ""),)


def _is_table(source: Any) -> bool:
    """Whether it has rows and columns of its own."""
    return hasattr(source, "columns") or np.ndim(source) > 1


def _labelled(rows: Any, labels: Any, request: Request) -> RawRows:
    """Rows with a label each; labels that are no column of their own are left out."""
    if labels is not None and request.label is not None:
        own = [str(name) for name in getattr(rows, "columns", ())]
        if request.label not in own and not request.rows_only:
            refuse_columns(request._replace(drop=()), "(rows, labels)", [*own, _NAME])
            request = request._replace(label=None)
    found = _one(rows, request, "")
    if labels is None or found.labels is not None:
        return found
    labels = _of_objects(np.asarray(labels))
    if labels.shape != (len(found),):
        raise InputError(
            "rows and a label for each of them",
            f"{counted(len(found), 'row')} and labels of shape {labels.shape}",
            "the rows alone, or three parts: training, validation and test rows",
            where="source",
        )
    return replace(found, labels=labels, label_name=_NAME)


def _of_objects(labels: np.ndarray) -> np.ndarray:
    """Labels that are Python objects as text, or as numbers where all are; empty, or NaN, for none."""
    if labels.dtype.kind != "O":
        return labels
    missing = [v is None or v != v for v in labels.ravel()]
    pairs = list(zip(labels.ravel(), missing, strict=True))
    if any(isinstance(v, str) for v in labels.ravel()):
        return np.array(["" if none else str(v) for v, none in pairs])
    return np.array([np.nan if none else float(v) for v, none in pairs])


def _one(source: Any, request: Request, where: str) -> RawRows:
    import narwhals as nw

    if isinstance(source, NamedColumns):
        return named_rows(source, request, where or "table")
    if nw.dependencies.is_into_dataframe(source) or nw.dependencies.is_polars_lazyframe(source):
        return read_frame(source, request, where or "data frame")
    if is_annotated(source):
        return read_annotated(source, request, where or "AnnData")
    if is_sparse(source):
        refuse_columns(request, where or "sparse matrix")
        return sparse_rows(source, where or "sparse matrix")
    if hasattr(source, "__array__"):
        where = where or "array"
        refuse_columns(request, where)
        return RawRows(values=numeric_rows(source, where), where=where)
    if isinstance(source, list | tuple) and (numbers := _numbers(source)) is not None:
        refuse_columns(request, where or "list")
        return RawRows(values=numeric_rows(numbers, where or "list"), where=where or "list")
    raise InputError(
        "the name of a source, an array, a data frame, or a tuple of three of them",
        f"a {type(source).__name__}",
        _remedy(source),
        where=where or "source",
    )


def _numbers(source: Any) -> np.ndarray | None:
    """Nested lists of numbers as an array; None for rows of unequal length and anything else."""
    try:
        array = np.asarray(source)
    except ValueError:
        return None
    return array if array.dtype.kind in "biuf" else None


def _remedy(source: Any) -> str:
    """What makes an array or a data frame of an object."""
    if hasattr(source, "obs_names"):
        return "its .X"
    if isinstance(source, Mapping):
        return "a data frame of it, such as polars.DataFrame(...)"
    if isinstance(source, list | tuple):
        return "rows of numbers, all of one length"
    return "an array of its rows"
