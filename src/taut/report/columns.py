"""Columns of a table in pictures: which are shown, and on which bins.

At most twelve are shown, by the entropy of their values on 32 equal bins between their ends, largest
first: a column that hardly varies says little in a picture.
"""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["most_informative", "shared_edges"]

_BINS = 32
_LEAST_BINS = 10
_ROWS = 512  # enough to rank columns
_WHOLE_NUMBERS = 25  # bars up to this many, bins beyond
_LARGEST_CODE = 1e9  # float64 has halves between whole numbers well beyond it
_TAIL = 0.005  # of the values on either side, left outside the bins


def most_informative(x: Float[np.ndarray, "N D"], limit: int = 12) -> Int[np.ndarray, " P"]:
    """Numbers of the columns to show, most informative first; ties in the table's own order."""
    x = x[:: -(-len(x) // _ROWS)]  # from all over them, as rows may be sorted
    known = np.isfinite(x)
    low = np.where(known, x, np.inf).min(axis=0)
    high = np.where(known, x, -np.inf).max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    scaled = np.where(known, x - np.where(known.any(axis=0), low, 0.0), 0.0) / width
    codes = np.minimum((scaled * _BINS).astype(int), _BINS - 1)
    columns = np.broadcast_to(np.arange(x.shape[1]), x.shape)
    counts = np.bincount((columns * _BINS + codes)[known], minlength=x.shape[1] * _BINS).reshape(
        -1, _BINS
    )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1)
    return np.argsort(-np.round(entropy, 9), kind="stable")[:limit]


def shared_edges(reference: Float[np.ndarray, " N"]) -> Float[np.ndarray, " E"]:
    """Edges of the bins on which a column's values are compared.

    One bin for each whole number where the values are few whole numbers; equal bins over all but the
    outermost values otherwise.
    """
    values = reference[np.isfinite(reference)]
    if values.size == 0:
        return np.asarray([-0.5, 0.5])
    low, high = values.min(), values.max()
    few = high - low < _WHOLE_NUMBERS and np.abs(values).max() < _LARGEST_CODE
    if few and np.array_equal(values, np.rint(values)):
        return np.arange(low - 0.5, high + 1.0)
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    room = 0.1 * (high - low)
    # Room that float64 can tell from the value itself, for a column that is constant.
    room = room if room > 0 else max(0.5, 1e-6 * abs(low))
    # Rice's rule: the noise of a bar and the width of a bar shrink together.
    count = int(np.clip(2 * values.size ** (1 / 3), _LEAST_BINS, _BINS))
    return np.linspace(low - room, high + room, count + 1)
