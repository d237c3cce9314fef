"""Averaged stochastic gradient ascent with a stopping rule: what stages of steps gain on common draws.

One stage is 500 steps at one step size; its guide is the mean of their iterates (Polyak and Juditsky
1992). Stages are compared on all data and common draws, so that neither the choice of rows nor most of
the draws stands between them:

    gain_j = mean over replicates r of  f_r(q_j) - f_r(q_best so far),     f_r the whole ELBO on draws r

The excess of iterates is of the order of the step size, so after a halving that gains g the later ones
promise g together. Optimization stops when two stages in a row, with a halving between, gain less than
the precision, and the last of them and `remaining_gain`, which looks at a third of all stages, promise
less than that together, all with their standard errors. (Welandawe, Andersen, Vehtari and Huggins 2024
stop by the same extrapolation over step sizes, from the iterates' own stationarity.)

Smaller steps also climb more slowly, so they are taken only where noise is in the way: where a gain
cannot be told from zero or from the precision, or the promise from the precision, and once where a
stage first gains little.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from taut.core import Estimate
from taut.inference.posterior.guide_fit import GuideFit, Round
from taut.inference.posterior.remaining_gain import gain_with_error, remaining_gain

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
    """Run stages until less than the precision remains to be gained.

    Arguments:
        advance: (number of the stage, step size) -> the averaged guide of the stage after those before.
        value: the whole ELBO of a guide on the common draws, one for each replicate, nats.
        start: a guide to improve on; None where the first stage's is the first that counts.
        step_size: of the first stage.
        precision_nats: nats that may remain to be gained.
        num_draws: in each replicate, for the record.
        clock: seconds.
    """
    began, size, quiet, rounds = clock(), step_size, 0, []
    best, taken, bounds = start, 0.0, [] if start is None else [np.asarray(value(start), float)]
    gain, gain_error, expected, left, t = np.inf, np.inf, np.inf, np.inf, np.inf
    converged = False
    while not converged and len(rounds) < _MOST_STAGES and size > _LEAST_SIZE * step_size:
        found = advance(len(rounds), size)
        after = np.asarray(value(found), float)
        t = float(stdtrit(len(after) - 1, _QUANTILE))
        compared = bool(bounds)
        if compared:
            gain, gain_error = gain_with_error(after, bounds[-1])
        # Of two that cannot be told apart, the one of smaller steps lies closer to the optimum.
        if not compared or gain > 0 or (size < taken and gain > -t * gain_error):
            best, taken = found, size
            bounds.append(after)
        else:
            bounds.append(bounds[-1])
        if np.isfinite(gain_error):
            expected, left = (
                max(gain, 0.0) + e * gain_error + remaining_gain(bounds, errors=e) for e in (0.0, t)
            )
        settled = gain + t * gain_error < precision_nats
        quiet = quiet + 1 if settled else 0
        converged = quiet >= 2 and left < precision_nats
        noisy = compared and not settled and not gain > t * gain_error
        if noisy or quiet == 1 or expected < precision_nats <= left:
            size /= 2
        rounds.append(
            Round(
                num_draws, STAGE_STEPS * (len(rounds) + 1), float(np.nan), *_mean_and_error(after),
                gain, gain_error, clock() - began,
            )
        )  # fmt: skip
    bound, error = _mean_and_error(bounds[-1])
    uncertain = (left - expected) / t if np.isfinite(left) else np.inf
    return GuideFit(
        best,
        Estimate(bound, "lower", error, unit="nats"),
        Estimate(expected, "none", uncertain, unit="nats"),
        tuple(rounds),
        converged,
    )


def _mean_and_error(values: Float[np.ndarray, " R"]) -> tuple[float, float]:
    if not np.isfinite(values).all():
        return -np.inf, np.inf
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
