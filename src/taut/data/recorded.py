"""Recorded values: columns of numbers in which a value that no row had yet would be rare.

    p(new) ~ n_1 / n,       n_1 of n observed cells having a value that comes up once

By Good and Turing's estimate (Good 1953, equation 9) another cell has a new value with about that
probability. Where it is at most 5 %, as of ratings, ages in years, settings of a machine, or an amount
that is 0 in most rows, the column's values are taken to be those that were recorded.
"""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["nearest_of", "recorded_values"]

_NEW = 0.05  # at most, of the probability of a value that was not recorded


def recorded_values(column: Float[np.ndarray, " N"]) -> Float[np.ndarray, " V"]:
    """The values of a column, rising; none where new ones are to be expected, or no cell is known.

    Arguments:
        column: NaN where a cell is missing.
    """
    found, rows = np.unique(column[~np.isnan(column)], return_counts=True)
    return found if (rows == 1).sum() <= _NEW * rows.sum() else found[:0]


def nearest_of(
    values: Float[np.ndarray, " V"], cells: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Each cell as the nearest of some values, the lower one of two that are equally near.

    Arguments:
        values: one or more, rising.
        cells: numbers in the same unit.
    """
    place: Int[np.ndarray, "..."] = np.searchsorted(0.5 * (values[1:] + values[:-1]), cells)
    return values[place]
