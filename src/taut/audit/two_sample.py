"""A two-sample test by the energy distance.

    E = 2 E|X - Y| - E|X - X'| - E|Y - Y'|        >= 0, and 0 only where X and Y have one distribution

in units of each column's pooled standard deviation. Its distribution where they have is that over all
ways to deal the pooled rows to the two samples, of which some are drawn: the p-value is exact for any
sizes and dimensions.

Source: Szekely and Rizzo, Energy statistics (2013).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from taut.core import InputError, check_count

__all__ = ["TwoSample", "two_sample"]


class TwoSample(NamedTuple):
    """What the test found.

    Attributes:
        distance: E, in pooled standard deviations.
        p_value: share of dealings with as large a distance, this one among them.
    """

    distance: float
    p_value: float

    @property
    def differ(self) -> bool:
        """Whether one distribution is ruled out, once in a hundred wrongly."""
        return self.p_value < 0.01


def two_sample(
    first: Float[np.ndarray, "N d"],
    second: Float[np.ndarray, "M d"],
    generator: np.random.Generator,
    *,
    num_dealings: int = 400,
) -> TwoSample:
    """Test whether two samples are of one distribution.

    Arguments:
        first: independent rows.
        second: independent rows.
        generator: of the dealings.
        num_dealings: the least p-value is one over one more.

    Raises:
        InputError: a sample without rows, rows that are not finite or of other columns, or no dealings.
    """
    num_dealings = check_count(num_dealings, "at least one dealing", "400", where="num_dealings")
    shapes = [np.shape(sample) for sample in (first, second)]
    if not all(len(s) == 2 and s[0] and s[1] == shapes[0][1] for s in shapes):
        raise InputError(
            "two samples of shapes (N, d) and (M, d), of one row at least",
            " and ".join(f"{shape}" for shape in shapes), "rows of the same columns",
            where="two_sample",
        )  # fmt: skip
    pooled = np.concatenate([first, second]).astype(np.float64)
    if not np.isfinite(pooled).all():
        raise InputError(
            "finite numbers", "some that are not", "leaving these rows out", where="two_sample"
        )
    scale = pooled.std(axis=0)
    pooled = pooled[:, scale > 0] / scale[scale > 0]
    n, m = len(first), len(second)
    apart = cdist(pooled, pooled)
    labels = np.concatenate([np.ones(n), np.zeros(m)])
    dealt = np.stack([labels, *(generator.permutation(labels) for _ in range(num_dealings))])
    reached = dealt @ apart
    within_first = np.sum(reached * dealt, axis=1) / (n * n)
    within_second = np.sum((apart.sum(axis=0) - reached) * (1 - dealt), axis=1) / (m * m)
    between = np.sum(reached * (1 - dealt), axis=1) / (n * m)
    distance = 2 * between - within_first - within_second
    return TwoSample(float(distance[0]), float(np.mean(distance >= distance[0] - 1e-12)))
