"""Resolution: how far apart the values of a column lie, and the variance v that rounding gives them.

    h   a tenth of the rows have another value nearer than h      (the step of a rounded column)
    v   h^2 / 12

Values that were rounded to multiples of h are their true ones plus an error of variance h^2 / 12
(Sheppard 1898), and a density that is narrower than that says more of the rounding than of the rows. In
a column that was not rounded h is of the size of the spacing of N rows, finer than which nothing is
known either. Both move with the column's shift and scale.

The pixels of an image share their unit, and so their resolution.
"""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["RESOLVED_ROWS", "resolution", "resolved_rows"]

RESOLVED_ROWS = 2_000  # of the training rows: enough to meet a step, and for six digits of a spread
_SHARE = 0.1  # of the rows: that many may be finer than the rest, or mistyped
_TOLD_APART = 64 * float(
    np.finfo(np.float64).eps
)  # of the largest value: nearer values are one, and arithmetic


def resolution(
    x: Float[np.ndarray, "N ..."], weight: Float[np.ndarray, " N"] | None = None
) -> Float[np.ndarray, "..."]:
    """h of every cell, of a row's shape; 0 for a cell (of an image: for all) that is constant.

    Arguments:
        x: training rows or a sample of them, (N, D) of a table, (N, H, W) or (N, H, W, C) of images; NaN
            is a cell that was not observed, and a cell that never is counts as constant.
        weight: how often each row of a table counts; once when None.
    """
    columns = x.reshape(len(x), -1).T if x.ndim == 2 else x.reshape(1, -1)
    steps = np.asarray([_step(column, weight) for column in columns])
    return np.broadcast_to(steps.reshape(x.shape[1:] if x.ndim == 2 else 1), x.shape[1:])


def resolved_rows(num_rows: int, most: int = RESOLVED_ROWS) -> Int[np.ndarray, " n"]:
    """Positions of the rows that tell of each column: all of them, or `most` at random; rising."""
    few = min(num_rows, most)
    return np.sort(np.random.default_rng(0).choice(num_rows, few, replace=False))


def _step(values: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"] | None) -> float:
    """The distance to the nearest other value that a tenth of the values is within."""
    known = ~np.isnan(values)
    found, place = np.unique(values[known], return_inverse=True)
    counts = np.bincount(place, None if weight is None else weight[known])
    apart = np.diff(found)
    new = apart > _TOLD_APART * np.abs(found).max(initial=0.0)
    groups = np.concatenate([[0], np.cumsum(new)])
    apart = apart[new]
    if not len(apart):
        return 0.0
    around = np.concatenate([[np.inf], apart, [np.inf]])
    nearest = np.minimum(around[:-1], around[1:])
    rows = np.bincount(groups, weights=counts)
    order = np.argsort(nearest)
    reached = np.searchsorted(np.cumsum(rows[order]), _SHARE * counts.sum())
    return float(nearest[order][reached])
