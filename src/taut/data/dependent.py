"""Columns that follow from one another: each is a linear function of the others, to rounding.

    1 - R_j^2 = 1 / (C^-1)_jj,    C the correlations of the columns

is the share of the variance of column j that the other columns leave.
"""

import numpy as np
from jaxtyping import Float

__all__ = ["dependent_columns"]

_LEFT = 1e-4  # of the variance: an R^2 above 0.9999
_RIDGE = 1e-12  # of the variance: far below what is asked, and above rounding


def dependent_columns(x: Float[np.ndarray, "N D"]) -> tuple[int, ...]:
    """The numbers of such columns; none where rows are too few to tell.

    Arguments:
        x: rows, of which those with NaN tell nothing; constant columns count as independent.
    """
    x = x[~np.isnan(x).any(axis=1)]
    if not len(x):
        return ()
    deviations = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 0.0)
    varying = np.flatnonzero(deviations)
    if len(x) <= len(varying) + 1:
        return ()
    scaled = (x[:, varying] - x[:, varying].mean(axis=0)) / deviations[varying]
    correlations = scaled.T @ scaled / len(x) + _RIDGE * np.eye(len(varying))
    left = 1 / np.diagonal(np.linalg.inv(correlations))
    return tuple(varying[left < _LEFT].tolist())
