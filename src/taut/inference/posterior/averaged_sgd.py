"""The stopping rule of stochastic ascent: what a stretch of steps gains on common draws.

One stretch is 500 steps at one step size; its guide is the mean of their iterates. Stretches are
compared on all data and common draws, so that neither the choice of rows nor most of the draws
stands between them:

    gain_j = mean over replicates r of  f_r(q_j) - f_r(q_{j-1}),       f_r the whole bound on draws r

A stretch that gains less than the precision, with its standard error, or that loses, halves the
step size. The excess of iterates is of the order of the step size, so after a halving that gains g
the later ones promise g together: the ascent stops when two stretches in a row, with a halving
between, gain less than the precision. (Welandawe, Andersen, Vehtari and Huggins 2024 stop by the
same extrapolation, from the iterates' own stationarity.)
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from taut.core import Estimate
from taut.inference.posterior.sample_average import Ascent, Round

__all__ = ["STRETCH", "climb_in_stretches"]

STRETCH = 500  # steps; Adam's longest memory is a hundred
_LEAST_SIZE = 1e-5  # of the first step size
_MOST_STRETCHES = 200
_QUANTILE = 0.95


def climb_in_stretches(
    advance: Callable[[int, float], Any],
    value: Callable[[Any], Float[np.ndarray, " R"]],
    *,
    start: Any = None,
    step_size: float,
    precision_nats: float,
    num_draws: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Ascent:
    """Climb until stretches gain less than the precision.

    Arguments:
        advance: (number of the stretch, step size) -> the guide of the stretch after those before.
        value: the whole bound of a guide on the common draws, one for each replicate, nats.
        start: a guide to improve on; None where the first stretch's is the first that counts.
        step_size: of the first stretch.
        precision_nats: of the gain.
        num_draws: in each replicate, for the record.
        clock: seconds.
    """
    began, size, quiet, rounds = clock(), step_size, 0, []
    best, before = start, None if start is None else np.asarray(value(start), np.float64)
    gain, gain_error = np.inf, np.inf
    while quiet < 2 and len(rounds) < _MOST_STRETCHES and size > _LEAST_SIZE * step_size:
        found = advance(len(rounds), size)
        after = np.asarray(value(found), np.float64)
        t = float(stdtrit(len(after) - 1, _QUANTILE))
        if before is not None:
            gain, gain_error = _gain(after, before)
            settled = gain + t * gain_error < precision_nats
            quiet = quiet + 1 if settled else 0
            if settled or not gain > t * gain_error:
                size /= 2
        if before is None or gain > 0:
            best, before = found, after
        rounds.append(
            Round(
                num_draws, STRETCH * (len(rounds) + 1), float(np.nan), *_mean_and_error(after),
                gain, gain_error, clock() - began,
            )
        )  # fmt: skip
    bound, error = _mean_and_error(before) if before is not None else (np.nan, np.nan)
    return Ascent(
        best,
        Estimate(bound, "lower", error, unit="nats"),
        Estimate(max(gain, 0.0), "none", gain_error, unit="nats"),
        tuple(rounds),
        quiet >= 2,
    )


def _gain(after: Float[np.ndarray, " R"], before: Float[np.ndarray, " R"]) -> tuple[float, float]:
    if not np.isfinite(before).all():
        return (np.inf if np.isfinite(after).all() else -np.inf), np.inf
    return _mean_and_error(after - before)


def _mean_and_error(values: Float[np.ndarray, " R"]) -> tuple[float, float]:
    if not np.isfinite(values).all():
        return -np.inf, np.inf
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
