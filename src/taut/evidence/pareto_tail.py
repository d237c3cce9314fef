"""The generalised Pareto tail of weights: its shape, and weights smoothed by it.

    P(w > t + e) / P(w > t) = (1 + k e / sigma)^(-1/k)        e >= 0, beyond the threshold t

k and sigma are fitted to the M largest of K weights, M = min(K / 5, 3 sqrt K), or to those of them
that are above t where others tie with it, by the mean of b = -k / sigma under its profile likelihood,
on a grid of quantiles of its prior (Zhang and Stephens 2009). A prior that counts as ten weights draws k
towards 1/2, and from k = 1/3 on weights of the tail are replaced by the quantiles of what was fitted,
none above the largest weight (Vehtari, Simpson, Gelman, Yao and Gabry 2024). A tail with ties is left
as it is.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["pareto_shape", "pareto_smoothed", "tail_size"]

_QUANTILES = 30  # of the grid, beside sqrt M
_PRIOR_OF_B, _PRIOR_OF_K, _CENTRE = 3, 10, 0.5
_SMOOTHED_FROM = 1 / 3
_LEAST_ABOVE = 5  # draws that two parameters are fitted to


class _Tail(NamedTuple):
    """Shape and scale, (R,); NaN where a quarter of the exceedances underflow."""

    shape: Float[np.ndarray, " R"]
    scale: Float[np.ndarray, " R"]


def tail_size(count: int) -> float:
    """Draws that the tail of K weights is fitted to, min(K / 5, 3 sqrt K)."""
    return min(count / 5, 3 * math.sqrt(count))


def pareto_shape(log_w: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
    """k-hat of each row, (R,), of at least 25 log-weights whose largest is 0.

    0 where the weights of the tail are equal; NaN where some tie with its threshold, or underflow beside
    the largest, and fewer than five are above, or so few carry the sum that the ties are no tail of it.
    """
    size = int(tail_size(log_w.shape[1]))
    largest = np.sort(np.partition(log_w, -size - 1, axis=1)[:, -size - 1 :], axis=1)
    exceedances = _parted(largest)[1]
    shape = _fitted(exceedances).shape
    for row in np.flatnonzero((exceedances[:, 0] == 0) & (exceedances[:, -1] > 0)):
        above = exceedances[row, exceedances[row] > 0]
        w = np.exp(log_w[row])
        known = len(above) >= _LEAST_ABOVE and w.sum() ** 2 >= size * (w**2).sum()
        shape[row] = _fitted(above[None]).shape[0] if known else math.nan
    return shape


def pareto_smoothed(log_w: Float[np.ndarray, "R K"]) -> Float[np.ndarray, "R K"]:
    """Weights of at least 25 log-weights whose largest is 0, their tails smoothed; they add up to 1."""
    size = int(tail_size(log_w.shape[1]))
    weights = np.exp(log_w)
    order = np.argsort(weights, axis=1)[:, -size - 1 :]
    threshold, exceedances = _parted(np.take_along_axis(log_w, order, axis=1))
    shape, scale = (part[:, None] for part in _fitted(exceedances))
    survival = np.log1p(-(np.arange(size) + 0.5) / size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quantiles = np.minimum(exceedances[:, -1:], scale * np.expm1(-shape * survival) / shape)
    smoothed = np.where(shape >= _SMOOTHED_FROM, quantiles, exceedances)
    np.put_along_axis(weights, order[:, 1:], threshold + smoothed, axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def _parted(log_w: Float[np.ndarray, "R _"]) -> tuple[np.ndarray, np.ndarray]:
    """The least of M + 1 ascending weights, (R, 1), and how far the others exceed it, (R, M)."""
    weights = np.exp(log_w)
    return weights[:, :1], weights[:, 1:] - weights[:, :1]


def _fitted(exceedances: Float[np.ndarray, "R M"]) -> _Tail:
    size = exceedances.shape[1]
    number = _QUANTILES + int(math.sqrt(size))
    quantiles = 1 - np.sqrt(number / (np.arange(1, number + 1) - 0.5))
    quartile, largest = exceedances[:, int(size / 4 + 0.5) - 1], exceedances[:, -1]

    def shape_at(b: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
        return np.log1p(-b[:, None] * exceedances).mean(axis=1)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        grid = [q / (_PRIOR_OF_B * quartile) + 1 / largest for q in quantiles]
        shapes = np.stack([shape_at(b) for b in grid])
        profile = size * (np.log(-np.stack(grid) / shapes) - shapes - 1)
        likelihood = np.exp(profile - profile.max(axis=0))
        b = (likelihood * np.stack(grid)).sum(axis=0) / likelihood.sum(axis=0)
        shape = shape_at(b)
        scale = -shape / b
    shrunk = (size * shape + _PRIOR_OF_K * _CENTRE) / (size + _PRIOR_OF_K)
    even = largest == 0
    return _Tail(np.where(even, 0.0, shrunk), np.where(even, 0.0, scale))
