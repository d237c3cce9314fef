"""Data in memory: an array, a data frame, or a tuple of three of them, split already."""

from typing import Any

from taut.data.sources.frame import read_frame
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, refuse_columns
from taut.errors import InputError

__all__ = ["read_memory"]


def read_memory(source: Any, request: Request) -> tuple[RawRows, ...]:
    """One part for an array or a data frame, three for a tuple of three.

    Raises:
        InputError: anything else.
    """
    if isinstance(source, tuple) and len(source) == 3:
        first = _one(source[0], request, "the first part")
        later = request._replace(drop=(), keep=first.columns) if first.columns else request
        return (
            first,
            _one(source[1], later, "the second part"),
            _one(source[2], later, "the third part"),
        )
    return (_one(source, request, ""),)


def _one(source: Any, request: Request, where: str) -> RawRows:
    import narwhals as nw

    if nw.dependencies.is_into_dataframe(source) or nw.dependencies.is_polars_lazyframe(source):
        return read_frame(source, request, where or "data frame")
    if hasattr(source, "__array__"):
        where = where or "array"
        refuse_columns(request, where)
        return RawRows(values=numeric_rows(source, where), where=where)
    raise InputError(
        "the name of a source, an array, a data frame, or a tuple of three of them",
        f"a {type(source).__name__}",
        "np.asarray on it",
        where=where or "source",
    )
