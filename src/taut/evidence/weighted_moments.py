"""Moments and quantiles of weighted draws, each with its Monte Carlo error.

    mean   m = sum_k w_k v_k                      error^2 = sum_k w_k^2 (v_k - m)^2
    sd     s^2 = sum_k w_k (v_k - m)^2            error^2 = sum_k w_k^2 ((v_k - m)^2 - s^2)^2 / (4 s^2)
    quantile F^{-1}(p)                            error   = (F^{-1}(p + e) - F^{-1}(p - e)) / 2,
                                                  e^2 = sum_k w_k^2 (1[v_k <= F^{-1}(p)] - p)^2

with weights that add up to 1; errors by the delta method (Owen 2013, section 9.2). Equal weights
give those of independent draws. Where draws are independent from one of R runs to the next, but not
within a run, the sum of w_k (v_k - m) over a run takes the place of that of a draw, times R / (R - 1),
and errors are widened for the few that R are (`few_runs`).

The error of an sd is of use where the w_k (v_k - m)^2 have a variance: where the k-hat of their largest
is below a half (`square_tails`).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from taut.evidence.few_runs import widening
from taut.evidence.weights import summarize

__all__ = ["PosteriorMoments", "SquareTails", "square_tails", "weighted_moments"]

_ULPS = 64  # of sums of squares that must be 1, such as the rows of a correlation's factor


class PosteriorMoments(NamedTuple):
    """Moments of C coordinates.

    Attributes:
        mean: (C,).
        mean_error: (C,).
        sd: (C,).
        sd_error: (C,).
        quantiles: (C, P).
        quantile_errors: (C, P).
        probabilities: of the quantiles, (P,).
    """

    mean: Float[np.ndarray, " C"]
    mean_error: Float[np.ndarray, " C"]
    sd: Float[np.ndarray, " C"]
    sd_error: Float[np.ndarray, " C"]
    quantiles: Float[np.ndarray, "C P"]
    quantile_errors: Float[np.ndarray, "C P"]
    probabilities: tuple[float, ...]

    def first(self, count: int) -> "PosteriorMoments":
        """Those of the first coordinates."""
        mean, mean_error, sd, sd_error, quantiles, quantile_errors = (
            part[:count] for part in self[:-1]
        )
        return PosteriorMoments(
            mean, mean_error, sd, sd_error, quantiles, quantile_errors, self.probabilities
        )


def weighted_moments(
    values: Float[np.ndarray, "K C"],
    weights: Float[np.ndarray, " K"] | None = None,
    *,
    probabilities: tuple[float, ...] = (0.05, 0.5, 0.95),
    runs: int | None = None,
) -> PosteriorMoments:
    """Moments of draws.

    Arguments:
        values: (K, C).
        weights: add up to 1, (K,); None for equal ones.
        probabilities: of the quantiles.
        runs: R independent ones of equal length, one after the other; None for independent draws.
    """
    values, count = np.asarray(values), len(values)
    w = np.full(count, 1 / count) if weights is None else weights
    mean = w @ values
    away = _away(values, mean)
    deviation = away**2
    variance = w @ deviation
    mean_error = np.sqrt(_squared(w, away, runs))
    sd = np.sqrt(variance)
    sd_error = np.sqrt(_squared(w, deviation - variance, runs)) / (2 * np.where(sd > 0, sd, 1.0))
    order = np.argsort(values, axis=0)
    quantiles = np.empty((values.shape[1], len(probabilities)))
    errors = np.empty_like(quantiles)
    for c in range(values.shape[1]):
        ranked, share = values[order[:, c], c], w[order[:, c]]
        below = np.cumsum(share) - share / 2
        squares = np.cumsum(share**2)
        for j, p in enumerate(probabilities):
            if runs is None:
                at = np.interp(p, below, squares)
                e = np.sqrt(at * (1 - p) ** 2 + (squares[-1] - at) * p**2)
            else:
                under = values[:, c] <= np.interp(p, below, ranked)
                e = np.sqrt(_squared(w, under[:, None] - p, runs)[0])
            low, middle, high = np.interp([p - e, p, p + e], below, ranked)
            quantiles[c, j], errors[c, j] = middle, (high - low) / 2
    return PosteriorMoments(mean, mean_error, sd, sd_error, quantiles, errors, probabilities)


class SquareTails(NamedTuple):
    """The largest of the squares that the variance of each of C coordinates is the mean of.

    Attributes:
        khat: their Pareto shape, (C,); -inf where it is not known, or does not matter.
        share: of the variance that the largest holds, (C,); 0 where a coordinate does not move.
    """

    khat: Float[np.ndarray, " C"]
    share: Float[np.ndarray, " C"]


def square_tails(values: Float[np.ndarray, "K C"], weights: Float[np.ndarray, " K"]) -> SquareTails:
    """Whether an sd hangs on a few draws: tails of w_k (v_k - m)^2.

    Arguments:
        values: (K, C).
        weights: add up to 1, (K,).
    """
    away = _away(np.asarray(values), weights @ values)
    with np.errstate(divide="ignore"):
        log_squares = np.log(weights) + 2 * np.log(np.abs(away.T))
    found = summarize(log_squares)
    moving = np.isfinite(found.log_evidence)
    total = np.where(moving, found.log_evidence + math.log(len(weights)), 0.0)
    share = np.where(moving, np.exp(log_squares.max(axis=1) - total), 0.0)
    khat = np.nan_to_num(found.khat, nan=-math.inf, posinf=math.inf, neginf=-math.inf)
    return SquareTails(khat, share)


def _away(values: Float[np.ndarray, "K C"], mean: Float[np.ndarray, " C"]) -> np.ndarray:
    """Deviations from a mean; zero in coordinates that do not move, up to rounding."""
    rounding = _ULPS * np.finfo(values.dtype).eps * np.abs(values).max(axis=0, initial=0.0)
    return np.where(np.ptp(values, axis=0) <= rounding, 0.0, values - mean)


def _squared(
    w: Float[np.ndarray, " K"], deviations: Float[np.ndarray, "K C"], runs: int | None
) -> Float[np.ndarray, " C"]:
    """Squared standard error of the weighted sum of deviations, (C,)."""
    if runs is None:
        return w**2 @ deviations**2
    sums = (w[:, None] * deviations).reshape(runs, len(w) // runs, -1).sum(axis=1)
    return (sums**2).sum(axis=0) * runs / (runs - 1) * widening(runs) ** 2
