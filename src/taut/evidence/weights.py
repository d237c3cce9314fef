"""What a row's log-weights say about its evidence, and how far they can be trusted.

    log_evidence = logsumexp(log_mass + log_w)               lower in expectation (Jensen)
    error^2      = (sum w^2 / (sum w)^2 - 1/K) K / (K - 1)   delta method
    ESS          = (sum w)^2 / sum w^2                       Kish
    k-hat        = shape of a generalised Pareto fitted to the largest weights

k-hat is that of Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao and Gabry 2024).
Above min(1 - 1 / log10 K, 0.7) the estimate and its error cannot be trusted, nor where it is unknown.
Where the largest weights are all equal they have no tail.

k-hat has no unit: weights that hardly vary may have a heavy tail, too. A Pareto tail of shape k < 1
holds beyond the largest of K weights, in the logarithm of their mean, at most

    reach = (max w / mean w - 1) / (K (1 - k))        nats

Weights of latents that are discrete are drawn many times over. Up to the largest one, a, that was drawn
twenty times they are bounded by what is known to a fifth; a tail can only be in what they hold above it,

    reach = sum max(w - a, 0) / sum w                 nats

Of this the draws that would be seen for the first time are, in expectation, as much as those that were
seen once (Good 1953). Where the smaller reach is below a hundredth of a nat the tail does not matter,
whatever its shape, and the reach is part of the error.

The variance of weights lies in the few largest. A hundred draws may miss these, and then mean and error
are small, both at once. Log-weights that are sums along a path of temperatures are nearly normal, and
the variance of log-normal weights shows in all draws above the median:

    error^2      = (exp(s^2) - 1) / (K - 1),    s^2 = (2/K) sum_k max(log w_k - median, 0)^2

Of such weights the larger of the two errors is that of the mean (`log_normal_error`).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from taut.evidence.pareto_tail import pareto_shape, pareto_smoothed, tail_size

__all__ = [
    "LEAST_FOR_KHAT",
    "RowWeights",
    "khat_threshold",
    "log_normal_error",
    "mean_and_error",
    "smoothed_weights",
    "summarize",
]

LEAST_FOR_KHAT = 25  # draws; below, the largest fifth of them has fewer than five members

_TIMES = 20  # that a weight is drawn until its share is known to a fifth

_NO_MATTER = 0.01  # nats, a tenth of the width at which a bracket is narrow enough

_ROUNDING = 1e-4  # nats between float32 log-weights of 1000 nats that are equal


class RowWeights(NamedTuple):
    """Summary of the log-weights of each of R rows.

    Attributes:
        log_evidence: nats, (R,).
        error: its Monte Carlo standard error by the delta method, nats, (R,); 0 where exact.
        ess: effective sample size, (R,), between 1 and K.
        khat: Pareto shape, (R,); NaN where none can be fitted, too few draws or weights that are not
            finite, and then it counts as above every threshold; -inf where the largest weights tie, or
            where what the tail holds does not matter.
        halves: difference between the log-evidences of two halves of the draws, nats, (R,); 0 where
            exact.
    """

    log_evidence: Float[np.ndarray, " R"]
    error: Float[np.ndarray, " R"]
    ess: Float[np.ndarray, " R"]
    khat: Float[np.ndarray, " R"]
    halves: Float[np.ndarray, " R"]


def summarize(
    log_w: Float[np.ndarray, "R K"], log_mass: Float[np.ndarray, "R K"] | None = None
) -> RowWeights:
    """Summarise log-weights.

    Arguments:
        log_w: nats, (R, K); -inf for a draw that explains nothing.
        log_mass: masses of draws that exhaust the guide's support, and then the sum has no error;
            None for independent draws of equal mass.
    """
    log_w = np.asarray(log_w, np.float64)
    rows, count = log_w.shape
    log_total = log_w - math.log(count) if log_mass is None else log_w + log_mass
    top = log_total.max(axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    w = np.exp(log_total - top)
    total = w.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_evidence = np.log(total) + top[:, 0]
        share = (w**2).sum(axis=1) / total**2
    if log_mass is not None:
        none = np.zeros(rows)
        return RowWeights(log_evidence, none, 1 / share, np.full(rows, -math.inf), none)
    error = np.sqrt(np.maximum(share - 1 / count, 0.0) * count / (count - 1))
    with np.errstate(invalid="ignore"):  # a row without a finite weight has no tail
        khat = _khat(log_w - log_w.max(axis=1, keepdims=True))
    # Weights that differ by rounding alone have no tail, whatever is fitted to the rounding; where the
    # tail underflows beside the few draws that carry the sum, it is heavier than any that is fitted.
    few = share * tail_size(count) > 1
    khat = np.where(np.isnan(khat) & few & (count >= LEAST_FOR_KHAT), math.inf, khat)
    khat = np.where(_tail_ties(log_w), -math.inf, khat)
    khat = np.where(np.isfinite(log_evidence), khat, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # nor a largest one of its mean
        reach = _reach(khat, count * w.max(axis=1) / total, count)
        reach = np.fmin(reach, _above_the_atom(w) / total)
    matters = (khat <= khat_threshold(count)) | ~(reach < _NO_MATTER)
    error = np.where(matters, error, np.hypot(error, reach))
    khat = np.where(matters, khat, -math.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (np.log(w[:, i::2].mean(axis=1)) for i in (0, 1))
        halves = np.abs(first - second)
    return RowWeights(log_evidence, error, 1 / share, khat, halves)


def log_normal_error(log_w: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """Standard error of the log of a mean of log-normal weights, by their upper half, nats, (R,).

    At most 1, as the delta method's; 0 where half of the draws explain nothing.

    Arguments:
        log_w: nats, (R, K).
    """
    log_w = np.asarray(log_w, np.float64)
    count = log_w.shape[1]
    median = np.median(log_w, axis=1, keepdims=True)
    known = np.isfinite(median)
    above = np.maximum(log_w - np.where(known, median, 0.0), 0.0)
    variance = np.where(known[:, 0], 2 * np.mean(above**2, axis=1), 0.0)
    return np.sqrt(np.expm1(np.minimum(variance, math.log(count))) / (count - 1))


def mean_and_error(
    values: Float[np.ndarray, "R K"], log_mass: Float[np.ndarray, "R K"] | None = None
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Mean over draws and its Monte Carlo standard error; exact under exhaustive masses."""
    values = np.asarray(values, np.float64)
    if log_mass is None:
        with np.errstate(invalid="ignore"):  # infinite values have no error
            return values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
    massive = log_mass > -np.inf
    weighted = np.where(massive, np.exp(log_mass) * np.where(massive, values, 0.0), 0.0)
    return weighted.sum(axis=1), np.zeros(values.shape[0])


def smoothed_weights(log_w: Float[np.ndarray, "R K"]) -> Float[np.ndarray, "R K"]:
    """Self-normalised weights, the largest replaced by quantiles of the fitted Pareto tail, (R, K)."""
    log_w = np.asarray(log_w, np.float64)
    with np.errstate(invalid="ignore"):  # a row without a finite weight, whose draws count alike
        log_ratios = np.nan_to_num(log_w - log_w.max(axis=1, keepdims=True), neginf=-np.inf)
    if log_w.shape[1] < LEAST_FOR_KHAT:
        weights = np.exp(log_ratios)
        return weights / weights.sum(axis=1, keepdims=True)
    return pareto_smoothed(log_ratios)


def khat_threshold(num_particles: int) -> float:
    """The k-hat above which K draws do not give a usable estimate."""
    return min(1 - 1 / math.log10(num_particles), 0.7) if num_particles > 10 else 0.0


def _reach(
    khat: Float[np.ndarray, " R"], largest: Float[np.ndarray, " R"], count: int
) -> Float[np.ndarray, " R"]:
    """What a Pareto tail of shape k holds beyond the largest of K weights, nats, (R,).

    One draw in K is above that weight, by a mean excess of k / (1 - k) times its distance from where the
    tail begins. Infinite for k of 1 or more, whose tail has no mean. k is k-hat and a standard error of
    it, (1 + k) / sqrt(M) of a tail of M draws.

    Arguments:
        khat: (R,).
        largest: weight over the mean of all, (R,).
        count: K.
    """
    k = khat + (1 + khat) / math.sqrt(tail_size(count))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(k < 1, (largest - 1) / (count * (1 - k)), math.inf)


def _tail_ties(log_w: Float[np.ndarray, "R K"]) -> np.ndarray:
    """Whether all draws of the tail weigh the same, (R,); all draws where they are few."""
    count = log_w.shape[1]
    size = int(tail_size(count)) + 1 if count >= LEAST_FOR_KHAT else count
    tail = np.partition(log_w, count - size, axis=1)[:, count - size :]
    with np.errstate(invalid="ignore"):
        return tail.max(axis=1) - tail.min(axis=1) < _ROUNDING


def _above_the_atom(w: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """What weights hold above the largest one that was drawn many times, (R,); all of them where there
    is none."""
    if w.shape[1] < _TIMES:
        return w.sum(axis=1)
    ascending = np.sort(w, axis=1)
    first = ascending[:, : w.shape[1] - _TIMES + 1]
    atom = np.where(first == ascending[:, _TIMES - 1 :], first, 0.0).max(axis=1, keepdims=True)
    return np.maximum(w - atom, 0.0).sum(axis=1)


def _khat(log_ratios: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    if log_ratios.shape[1] < LEAST_FOR_KHAT:
        return np.full(log_ratios.shape[0], math.nan)
    return pareto_shape(log_ratios)
