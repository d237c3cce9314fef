"""Averaged stochastic gradient ascent with a stopping rule: what a stage of steps gains on common draws.

One stage is 500 steps at one step size; its guide is the mean of their iterates (Polyak and Juditsky
1992). Stages are compared on all data and common draws, so that neither the choice of rows nor most of
the draws stands between them:

    gain_j = mean over replicates r of  f_r(q_j) - f_r(q_{j-1}),       f_r the whole ELBO on draws r

A stage that gains less than the precision, with its standard error, or that loses, halves the step
size. The excess of iterates is of the order of the step size, so after a halving that gains g the
later ones promise g together: optimization stops when two stages in a row, with a halving between,
gain less than the precision. (Welandawe, Andersen, Vehtari and Huggins 2024 stop by the same
extrapolation, from the iterates' own stationarity.)
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from taut.core import Estimate
from taut.inference.posterior.guide_fit import GuideFit, Round

__all__ = ["STAGE_STEPS", "averaged_sgd"]

STAGE_STEPS = 500  # Adam's longest memory is a hundred
_LEAST_SIZE = 1e-5  # of the first step size
_MOST_STAGES = 200
_QUANTILE = 0.95


def averaged_sgd(
    advance: Callable[[int, float], Any],
    value: Callable[[Any], Float[np.ndarray, " R"]],
    *,
    start: Any = None,
    step_size: float,
    precision_nats: float,
    num_draws: int,
    clock: Callable[[], float] = time.perf_counter,
) -> GuideFit:
    """Run stages until they gain less than the precision.

    Arguments:
        advance: (number of the stage, step size) -> the averaged guide of the stage after those before.
        value: the whole ELBO of a guide on the common draws, one for each replicate, nats.
        start: a guide to improve on; None where the first stage's is the first that counts.
        step_size: of the first stage.
        precision_nats: of the gain.
        num_draws: in each replicate, for the record.
        clock: seconds.
    """
    began, size, quiet, rounds = clock(), step_size, 0, []
    best, before = start, None if start is None else np.asarray(value(start), np.float64)
    gain, gain_error = np.inf, np.inf
    while quiet < 2 and len(rounds) < _MOST_STAGES and size > _LEAST_SIZE * step_size:
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
                num_draws, STAGE_STEPS * (len(rounds) + 1), float(np.nan), *_mean_and_error(after),
                gain, gain_error, clock() - began,
            )
        )  # fmt: skip
    bound, error = _mean_and_error(before) if before is not None else (np.nan, np.nan)
    return GuideFit(
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
