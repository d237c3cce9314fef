"""Which values alone move a mean by more than its error.

A mean of N values is moved by the i-th by (v_i - m) / N, with m the mean of the others, whose standard
error is s / sqrt(N). A value is far where the first is larger than the second,

    |v_i - m| > s max(sqrt(N), 8),

with m and s of the values that are not far, so that several far ones do not hide each other; at most
one in ten can be far. Of few values more is asked: eight standard deviations are beyond what a sum of
squares of normal variables has by chance, and eight nats, a factor of 3000, beyond what rare categories
have among common ones. A value that is not finite always is far.
"""

import math

import numpy as np

__all__ = ["far_positions"]

_MOST = 0.1  # of the values: more are no exception, they are how the data are
_LEAST = 8.0  # standard deviations, and nats
_ROUNDING = 1e-6  # of the values, float32


def far_positions(values: np.ndarray, *, errors: float = 1.0) -> np.ndarray:
    """The positions of far values, the farthest first, those that are not finite before all.

    Arguments:
        values: (N,).
        errors: by how many errors a value must move the mean; with sqrt(N) it outweighs all others.
    """
    broken = np.flatnonzero(~np.isfinite(values))
    finite = np.flatnonzero(np.isfinite(values))
    most = int(_MOST * finite.size)
    if most == 0:
        return broken
    deviations = values[finite] - np.median(values[finite])
    order = np.argsort(np.abs(deviations), kind="stable")
    near = deviations[order]  # sums from the nearest on lose no digit to the farthest
    counts = np.arange(1, near.size + 1)
    means = np.cumsum(near) / counts
    spreads = np.sqrt(np.maximum(np.cumsum(near**2) / counts - means**2, 0.0))
    rest = np.arange(near.size - most, near.size)  # how many rows are not far
    moved = np.abs(near[rest] - means[rest - 1])
    least = max(_LEAST, _ROUNDING * abs(float(np.median(values[finite]))))
    times = max(errors * math.sqrt(near.size), _LEAST)
    far = moved > np.maximum(spreads[rest - 1] * times, least)
    if not far.any():
        return broken
    return np.concatenate([broken, finite[order[rest[np.argmax(far)] :]][::-1]])
