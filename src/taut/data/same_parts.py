"""Parts of a source that hold the same rows, such as one file that is named twice of three."""

from collections.abc import Sequence
from itertools import combinations

from taut.data.sources import RawRows
from taut.data.sparse_rows import SparseRows

__all__ = ["same_parts_notes"]

_PARTS = ("training", "validation", "test")
_MEANING = {
    ("training", "validation"): "what is chosen on them is chosen on rows that were trained on",
    ("training", "test"): "what is called held out was trained on",
    ("validation", "test"): "what is chosen on them is measured on the same rows",
}


def same_parts_notes(parts: Sequence[RawRows]) -> list[str]:
    """What a reader should know of parts whose rows are the same, in one order, cell by cell.

    Arguments:
        parts: training, validation and test rows, or all rows as one part.
    """
    named = zip(_PARTS, parts, strict=False)
    return [
        f"{first} and {second} rows are the same: {_MEANING[first, second]}"
        for (first, own), (second, other) in combinations(named, 2)
        if _same(own, other)
    ]


def _same(rows: RawRows, others: RawRows) -> bool:
    if rows.names != others.names or rows.values.shape != others.values.shape:
        return False
    own, other = rows.values, others.values
    if isinstance(own, SparseRows) or isinstance(other, SparseRows):
        both = isinstance(own, SparseRows) and isinstance(other, SparseRows)
        return both and (own.matrix != other.matrix).nnz == 0
    equal = own == other
    return bool(equal.all() or (equal | ((own != own) & (other != other))).all())
