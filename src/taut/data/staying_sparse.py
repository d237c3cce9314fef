"""Which tables of a sparse source stay sparse: those of counts, or of zeros and ones.

Another table is made dense on reading: one with missing cells, by NaN or by a code, whose mask would be
dense; one whose columns differ in kind; images; values that are binarized; and numbers that are no
counts, which only a wish for their support makes of it, as zero is then one value among others.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from taut.data.options import DataOptions
from taut.data.schema import Schema
from taut.data.sources.raw_rows import RawRows, more_such_cells, numeric_rows
from taut.data.sources.sparse import all_whole
from taut.data.sparse_rows import SparseRows
from taut.errors import InputError, option

__all__ = ["as_asked", "as_known"]

_COUNTED = ("count", "binary")
_MOST = 2.0**63  # beyond, no type of whole numbers holds them


def as_asked(rows: RawRows, options: DataOptions, *, by_column: bool) -> RawRows:
    """Rows of a source, dense unless they can be held sparse.

    Arguments:
        rows: as the source holds them.
        options: what was asked of the data.
        by_column: whether columns were asked for that differ in kind.

    Raises:
        InputError: a negative number or a fraction where no support was asked for, with its place.
    """
    if not isinstance(rows.values, SparseRows):
        return rows
    counted = options.support in (None, *_COUNTED)
    asked = by_column or options.binarize != "none" or options.image_shape is not None
    if asked or not counted or options.missing_codes or _has_holes(rows.values):
        return _dense(rows)
    return _counts(rows)


def as_known(rows: RawRows, schema: Schema, codes: Sequence[float]) -> RawRows:
    """More rows of a form that is known, dense unless its cells are held sparse.

    Raises:
        InputError: as `as_asked`.
    """
    if not isinstance(rows.values, SparseRows):
        return rows
    counted = schema.kinds is None and schema.kind == "table" and schema.binarize == "none"
    if not counted or schema.support not in _COUNTED or codes or _has_holes(rows.values):
        return _dense(rows)
    return _counts(rows)


def _counts(rows: RawRows) -> RawRows:
    values, data = rows.values, rows.values.matrix.data
    bad = (data < 0) | (data != np.rint(data)) | (data >= _MOST)
    if bad.any():
        first = int(bad.argmax())
        raise InputError(
            "whole numbers that are not negative, as sparse tables hold counts",
            f"{data[first]:g}{more_such_cells(int(bad.sum()) - 1)}",
            f"the counts as they were before they were scaled, or {option('support', 'real')}",
            where=f"{rows.where}, {rows.place(*_split(values.place(first)))}",
        )
    return replace(rows, values=values.narrowed())


def _split(place: tuple[int, int]) -> tuple[int, tuple[int]]:
    return place[0], (place[1],)


def _has_holes(values: SparseRows) -> bool:
    """Whether a cell that is stored has no finite value."""
    return values.dtype.kind == "f" and not math.isfinite(float(values.matrix.data.sum()))


def _dense(rows: RawRows) -> RawRows:
    values = numeric_rows(np.asarray(rows.values), rows.where)
    return replace(rows, values=values, whole=all_whole(values))
