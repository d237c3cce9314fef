"""The different ones among weighted rows: what a start must look at that repetition does not change."""

import numpy as np
from jaxtyping import Float

__all__ = ["distinct_rows"]


def distinct_rows(
    x: Float[np.ndarray, "N ..."], weight: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "n ..."], Float[np.ndarray, " n"]]:
    """Rows that differ, sorted by their cells, and the sum of the weights of those that are alike.

    Missing cells are alike. Neither the order of the rows nor their repetition, in place of a weight,
    changes what comes.

    Arguments:
        x: rows, NaN where a cell is missing.
        weight: how often each of them counts.
    """
    flat = x.reshape(len(x), -1)
    order = np.argsort(flat[:, 0])
    if (np.diff(flat[order, 0]) > 0).all():  # the first column tells all rows apart
        return x[order], weight[order]
    order = np.lexsort(flat.T[::-1])
    flat = flat[order]
    alike = (flat[1:] == flat[:-1]) | (np.isnan(flat[1:]) & np.isnan(flat[:-1]))
    first = np.flatnonzero(np.concatenate([[True], ~alike.all(axis=1)]))
    return x[order[first]], np.add.reduceat(weight[order], first)
