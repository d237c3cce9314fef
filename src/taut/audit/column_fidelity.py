"""How alike the columns of two tables are, one by one and two by two; 1 where they are the same.

    shape of a number            1 - sup_v |F(v) - G(v)|                    (Kolmogorov and Smirnov)
    shape of a category          1 - (1/2) sum_v |f(v) - g(v)|              (total variation)
    trend of two numbers         1 - |r - s| / 2                            (Pearson correlations)
    trend of two categories      1 - (1/2) sum_uv |f(u, v) - g(u, v)|

A number beside a category is cut at ten bins of equal width over the first table's range. Means over
columns and over pairs are the scores that SDMetrics calls column shapes and column pair trends. Cells
that are missing are left out, of pairs both.
"""

import itertools

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["column_shapes", "pair_trends"]

_BINS = 10


def column_shapes(
    real: Float[np.ndarray, "N D"],
    other: Float[np.ndarray, "M D"],
    category: Bool[np.ndarray, " D"],
) -> Float[np.ndarray, " D"]:
    """The likeness of each column; NaN where a table has no cell of it.

    Arguments:
        real: rows, NaN where a cell is missing.
        other: those that are to be like them.
        category: which columns hold codes.
    """
    found = np.full(real.shape[1], np.nan)
    for i, named in enumerate(category):
        a, b = (_known(rows[:, i]) for rows in (real, other))
        if len(a) and len(b):
            found[i] = 1 - (_variation if named else _largest_gap)(a, b)
    return found


def pair_trends(
    real: Float[np.ndarray, "N D"],
    other: Float[np.ndarray, "M D"],
    category: Bool[np.ndarray, " D"],
) -> Float[np.ndarray, "D D"]:
    """The likeness of each pair of columns, symmetric; NaN on the diagonal and where it is not defined.

    Arguments:
        real, other, category: as of `column_shapes`.
    """
    size = real.shape[1]
    found = np.full((size, size), np.nan)
    codes = [_codes(rows, real, category) for rows in (real, other)]
    for i, j in itertools.combinations(range(size), 2):
        numbers = not (category[i] or category[j])
        a, b = (
            rows[~np.isnan(rows[:, [i, j]]).any(axis=1)][:, [i, j]]
            for rows in ((real, other) if numbers else codes)
        )
        if min(len(a), len(b)) > 1:
            found[i, j] = found[j, i] = _correlated(a, b) if numbers else 1 - _variation(a, b)
    return found


def _known(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " n"]:
    return values[~np.isnan(values)]


def _largest_gap(a: Float[np.ndarray, " N"], b: Float[np.ndarray, " M"]) -> float:
    """The greatest distance of two empirical distribution functions."""
    places = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(v), places, side="right") / len(v) for v in (a, b)]
    return float(np.max(np.abs(below[0] - below[1])))


def _variation(a: Float[np.ndarray, "N *d"], b: Float[np.ndarray, "M *d"]) -> float:
    """The total variation distance of values, or of rows of values."""
    _, place = np.unique(np.concatenate([a, b]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    count = int(place.max()) + 1
    shares = (np.bincount(p, minlength=count) / len(p) for p in np.split(place, [len(a)]))
    return 0.5 * float(np.abs(next(shares) - next(shares)).sum())


def _correlated(a: Float[np.ndarray, "N 2"], b: Float[np.ndarray, "M 2"]) -> float:
    """NaN where a column of the first table does not vary; columns of the second that do not tell 0."""
    if (np.ptp(a, axis=0) == 0).any():
        return np.nan
    own = np.corrcoef(a.T)[0, 1]
    other = 0.0 if (np.ptp(b, axis=0) == 0).any() else np.corrcoef(b.T)[0, 1]
    return 1 - abs(own - other) / 2


def _codes(
    rows: Float[np.ndarray, "M D"],
    real: Float[np.ndarray, "N D"],
    category: Bool[np.ndarray, " D"],
) -> Float[np.ndarray, "M D"]:
    """Numbers as the bins that they lie in, the outer ones without an end."""
    found = rows.copy()
    for i in np.flatnonzero(~category):
        known = _known(real[:, i])
        if len(known):
            edges = np.histogram_bin_edges(known, _BINS)[1:-1]
            found[:, i] = np.where(np.isnan(rows[:, i]), np.nan, np.digitize(rows[:, i], edges))
    return found
