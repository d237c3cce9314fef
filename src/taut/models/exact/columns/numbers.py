"""Columns of real numbers: normal, or log-normal where all of them are positive.

    t = x or log x,    t | k ~ N(mu_k, sigma_k^2),    log p(x) = log p(t) - [log x]

    mu_k = sum_n r_nk t_n / n_k,    sigma_k^2 = max(sum_n r_nk (t_n - mu_k)^2 / n_k, least)

The least variance of a logarithm is that of a log-normal of the least variance at the geometric mean g,
log(1 + least / g^2). Moments are about the means of the components that gathered them, so that they keep
their digits.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.models.exact.columns.abstract import AbstractColumns, gathered_cells, summed_cells
from taut.models.exact.columns.described import Described
from taut.models.exact.covariances.abstract import HELD
from taut.models.exact.given import Given, given_components

__all__ = ["Numbers"]

_LARGEST = 350.0  # log of a mean whose square is still a number
_ROUNDED_LOG = (8 * float(np.finfo(np.float64).eps)) ** 2


class NumberMoments(NamedTuple):
    """Sums with responsibilities, (K, D) each.

    Attributes:
        rows: of 1 over observed cells.
        first: of t - c, c the mean of the component that gathered them.
        second: of (t - c)^2.
    """

    rows: Float[Array, "K D"]
    first: Float[Array, "K D"]
    second: Float[Array, "K D"]


class NumberFloor(NamedTuple):
    """What keeps numbers off the boundary.

    Attributes:
        rows: a, pseudo-rows, () or (D,).
        mean, variance: of t over the sample, (D,).
        least: smallest variance of t, (D,).
    """

    rows: Float[Array, "*D"]
    mean: Float[Array, " D"]
    variance: Float[Array, " D"]
    least: Float[Array, " D"]


class Numbers(AbstractColumns):
    """Normal and log-normal columns.

    Attributes:
        means: mu, (K, D), in units of t.
        deviations: sigma, (K, D).
        logged: whether t is log x.
        shift, scale: of t over the training rows.
    """

    means: Float[Array, "K D"]
    deviations: Float[Array, "K D"]
    logged: tuple[bool, ...] = eqx.field(static=True)
    shift: tuple[float, ...] = eqx.field(static=True)
    scale: tuple[float, ...] = eqx.field(static=True)

    @property
    def num_parameters(self) -> int:
        return 2 * self.means.size

    @property
    def width(self) -> int:
        return self.means.shape[1]

    def log_cells(self, x: Float[Array, " D"]) -> Float[Array, "K D"]:
        t, log_volume = self._transformed(x[None], None)
        return _log_normal(t, self.means, self.deviations) + log_volume

    def kernel(
        self, *, few: bool = False
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        def summed(x: Array, seen: Array | None) -> Array:
            t, log_volume = self._transformed(x, seen)
            cells = summed_cells(_log_normal, t, seen, (self.means, self.deviations), few=few)
            return cells + jnp.sum(log_volume, axis=1, keepdims=True)

        return summed

    def moments(
        self,
        x: Float[Array, "N D"],
        seen: Bool[Array, "N D"] | None,
        r: Float[Array, "N K"],
        *,
        few: bool = False,
    ) -> NumberMoments:
        t, _ = self._transformed(x, seen)
        known = jnp.ones_like(t) if seen is None else seen.astype(t.dtype)
        # The mean keeps its digits at a distance of the column's own spread.
        shift = jnp.asarray(self.shift, t.dtype)
        sums = r.T @ jnp.concatenate([known, (t - shift) * known], axis=1)
        rows, first = jnp.split(sums, 2, axis=1)
        second = gathered_cells(_squared, t, seen, r, (self.means,), few=few)
        return NumberMoments(rows, first - rows * (self.means - shift), second)

    def rebased(self, statistics: NumberMoments, columns: "Numbers") -> NumberMoments:
        rows, first, second = statistics
        shift = columns.means - self.means
        moved = second - 2 * first * shift + rows * shift**2
        return NumberMoments(rows, first - rows * shift, moved)

    def floor(
        self,
        rows: float | Float[np.ndarray, " D"],
        least: Float[Array, " D"],
        sample: Float[np.ndarray, "n D"],
    ) -> NumberFloor:
        seen, logged = ~np.isnan(sample), np.asarray(self.logged)
        t = np.where(seen, sample, 1.0)
        t[:, logged] = np.log(t[:, logged])
        count = seen.sum(axis=0)
        number = np.maximum(count, 1)
        mean = np.where(seen, t, 0.0).sum(axis=0) / number
        variance = np.where(seen, (t - mean) ** 2, 0.0).sum(axis=0) / number
        # A column that no row has a value of stays where it began.
        mean = np.where(count > 0, mean, self.shift)
        variance = np.where(count > 0, variance, np.square(self.scale))
        relative = jnp.log1p(least * np.exp(-2 * np.where(logged, mean, 0.0)))
        least = jnp.where(logged, relative, least)
        dtype = least.dtype
        return NumberFloor(
            jnp.asarray(rows, dtype), jnp.asarray(mean, dtype), jnp.asarray(variance, dtype), least
        )

    def maximized(self, statistics: NumberMoments, floor: NumberFloor) -> "Numbers":
        rows, first, second = statistics
        away = floor.mean - self.means
        rows, first = rows + floor.rows, first + floor.rows * away
        second = second + floor.rows * (floor.variance + away**2)
        safe = jnp.where(rows > 0, rows, 1.0)
        shift = first / safe
        variance = jnp.maximum(second / safe - shift**2, floor.least)
        deviations = jnp.where(
            variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), jnp.nan
        )
        deviations = jnp.where(rows > 0, deviations, self.deviations)
        return self._with(self.means + shift, deviations)

    def log_penalty(self, floor: NumberFloor) -> Float[Array, ""]:
        squares = (floor.variance + (floor.mean - self.means) ** 2) / self.deviations**2
        log_p = -jnp.log(self.deviations) - 0.5 * (squares + math.log(2 * math.pi))
        log_volume = jnp.where(np.asarray(self.logged), -floor.mean, 0.0)
        return jnp.sum(floor.rows * (log_p + log_volume))

    def held(self, floor: NumberFloor) -> Bool[Array, "K D"]:
        return self.deviations**2 <= HELD * floor.least

    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        rounding = jnp.where(np.asarray(self.logged), _ROUNDED_LOG, rounding)
        return ~jnp.all(self.deviations**2 > rounding, axis=1)  # True for NaN

    def given(self, r: Float[Array, "K *D"]) -> Given:
        means, squares = self._means(), jnp.asarray(self.deviations) ** 2
        variances = jnp.where(np.asarray(self.logged), jnp.expm1(squares) * means**2, squares)
        return given_components(r, means, jnp.minimum(variances, jnp.exp(2 * _LARGEST)))

    def cumulative(self, column: int) -> Callable[[Float[Array, ""]], Float[Array, " K"]]:
        mean, deviation = jnp.asarray(self.means)[:, column], self.deviations[:, column]
        if not self.logged[column]:
            return lambda v: ndtr((v - mean) / deviation)

        def of_logs(v: Float[Array, ""]) -> Float[Array, " K"]:
            t = jnp.log(jnp.where(v > 0, v, 1.0))
            return jnp.where(v > 0, ndtr((t - mean) / deviation), 0.0)

        return of_logs

    def mean(self, z: Float[Array, " K"]) -> Float[Array, " D"]:
        return z @ self._means()

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " D"]:
        mean = z @ jnp.asarray(self.means)
        t = mean + z @ jnp.asarray(self.deviations) * jax.random.normal(key, mean.shape, mean.dtype)
        return jnp.where(np.asarray(self.logged), jnp.exp(t), t)

    def points(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        logged = np.asarray(self.logged)
        t = np.where(logged, np.log(np.where(logged, x, 1.0)), x)
        return (t - np.asarray(self.shift)) / np.asarray(self.scale)

    def described(self, names: list[str], categories: list[tuple[str, ...]]) -> list[Described]:
        means, deviations = np.asarray(self.means), np.asarray(self.deviations)
        words = ["log_" if logged else "" for logged in self.logged]
        named = [f"{word}{name}" for word, name in zip(words, names, strict=True)]
        return [Described(f"mean_{n}", i, means[:, i]) for i, n in enumerate(named)] + [
            Described(f"deviation_{n}", i, deviations[:, i]) for i, n in enumerate(named)
        ]

    def _with(self, means: Float[Array, "K D"], deviations: Float[Array, "K D"]) -> "Numbers":
        return Numbers(means, deviations, self.logged, self.shift, self.scale)

    def _means(self) -> Float[Array, "K D"]:
        """E[x | k]."""
        means, squares = jnp.asarray(self.means), jnp.asarray(self.deviations) ** 2
        grown = jnp.exp(jnp.minimum(means + 0.5 * squares, _LARGEST))
        return jnp.where(np.asarray(self.logged), grown, means)

    def _transformed(
        self, x: Float[Array, "N D"], seen: Bool[Array, "N D"] | None
    ) -> tuple[Float[Array, "N D"], Float[Array, "N D"]]:
        """t, and log |dt / dx| of the observed cells."""
        x = x if seen is None else jnp.where(seen, x, 1.0)
        logged = np.asarray(self.logged)
        if not logged.any():
            return x, jnp.zeros_like(x)
        log_x = jnp.log(jnp.where(logged & (x > 0), x, 1.0))
        impossible = logged & ~(x > 0)
        log_volume = jnp.where(impossible, -jnp.inf, jnp.where(logged, -log_x, 0.0))
        return jnp.where(logged, log_x, x), log_volume


def _log_normal(t: Any, mean: Any, deviation: Any) -> Any:
    log_scale = jnp.log(deviation) + 0.5 * math.log(2 * math.pi)
    return -0.5 * ((t - mean) / deviation) ** 2 - log_scale


def _squared(t: Any, mean: Any) -> Any:
    return (t - mean) ** 2
