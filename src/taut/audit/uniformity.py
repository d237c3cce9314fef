"""Whether numbers are uniform on [0, 1]: their distribution function in a simultaneous band.

    C_k = #{n: u_n <= t_k},   t_k = k / (K + 1)
    gamma = min_k 2 min(P(B_k <= C_k), P(B_k >= C_k), 1/2),   B_k ~ Binomial(N, t_k)

The numbers leave the band of level gamma where one count has a two-sided tail of gamma or less. How
often uniform ones do so is exact: their counts are those of a Poisson process of rate N given N points
in all, whose increments are independent, so that

    P(all counts within their limits) = P(Poisson counts within them, N in all) / P(Poisson(N) = N)

Source: Sailynoja, Buerkner and Vehtari, Graphical test for discrete uniformity and its applications in
goodness-of-fit evaluation and multiple sample comparison (2022), section 2, with the recursion over
binomial increments in another form.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["TIMES", "Band", "band", "uniform_p_value"]

_POINTS = 63  # K, evenly spaced: increments have one rate
TIMES = np.arange(1, _POINTS + 1) / (_POINTS + 1)
_ONLY_BOUNDED = 1e-9  # levels below it are told by the sum over points, an upper bound that is near


class Band(NamedTuple):
    """Limits of the empirical distribution function, at `TIMES`.

    Attributes:
        low: least share within, (K,).
        high: largest share within, (K,).
    """

    low: Float[np.ndarray, " K"]
    high: Float[np.ndarray, " K"]


def uniform_p_value(numbers: Float[np.ndarray, " N"]) -> float:
    """How often independent uniform numbers leave the band that these only just leave, or a wider one.

    Arguments:
        numbers: between 0 and 1.
    """
    num = len(numbers)
    counts = np.searchsorted(np.sort(numbers), TIMES, side="right")
    return _share_outside(float(_tails(num, counts).min()), num)


def band(num: int, level: float) -> Band:
    """The band that `num` uniform numbers leave at most with probability `level`.

    It is the narrowest of its kind: counts are whole, so that the level is met from below.
    """
    low, high = math.log(level / (2 * _POINTS)), 0.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if _share_outside(math.exp(middle), num) <= level else (low, middle)
        )
    within = _within(math.exp(low), num)
    return Band(*(limit / num for limit in within))


def _tails(num: int, counts: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Two-sided tail of each count."""
    from scipy.stats import binom  # takes half as long to import as JAX

    below, above = binom.cdf(counts, num, TIMES), binom.sf(counts - 1, num, TIMES)
    return np.minimum(1.0, 2 * np.minimum(below, above))


def _within(level: float, num: int) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Least and largest counts whose tails are above a level."""
    from scipy.stats import binom

    half = 0.5 * level * (1 + 1e-9)
    low = binom.ppf(half, num, TIMES).astype(int)  # the least whose lower tail is half or more
    high = binom.isf(half, num, TIMES).astype(int)
    return low, high


def _share_outside(level: float, num: int) -> float:
    """How often uniform numbers leave the band of a level."""
    from scipy.stats import poisson

    if level >= 1:
        return 1.0
    if level < _ONLY_BOUNDED:
        return min(1.0, _POINTS * level)
    low, high = _within(level, num)
    arrivals = poisson.pmf(np.arange(num + 1), num / (_POINTS + 1))
    alive, first = np.ones(1), 0
    for least, most in zip([*low, num], [*high, num], strict=True):
        if most < max(least, first):
            return 1.0
        spread = np.convolve(alive, arrivals[: most - first + 1])[: most - first + 1]
        start = max(least, first)
        alive, first = spread[start - first :], start
    return float(max(0.0, 1.0 - alive[-1] / poisson.pmf(num, num)))
