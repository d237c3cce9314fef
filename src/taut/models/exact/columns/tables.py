"""Columns of categories: a table of probabilities for each component and column; Bernoulli for two.

    theta_kd(v) = (sum_n r_nk [x_nd = v] + a q_d(v)) / (n_kd + a)

with a pseudo-rows that are spread as the column is in a sample of training rows, q by Laplace's rule:
the mode under theta_kd ~ Dirichlet(1 + a q_d), maximum likelihood for a = 0. Codes are 0..V_d - 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.models.exact.columns.abstract import AbstractColumns
from taut.models.exact.columns.described import Described
from taut.models.exact.given import Given

__all__ = ["Tables"]

# Stands for log 0 in matrix products, where 0 * log 0 must be 0.
_LOG_ZERO = -1e30


class TableFloor(NamedTuple):
    """What keeps tables off the boundary.

    Attributes:
        pseudo: a q, pseudo-rows of every value of every column, (F,).
    """

    pseudo: Float[Array, " F"]


class Tables(AbstractColumns):
    """Categorical columns, whose F = sum_d V_d values stand side by side.

    Attributes:
        log_theta: log-probabilities, (K, F); -inf for a value that never comes up.
        levels: V_d of every column.
        binary: whether a column is a number, 0 or 1.
    """

    log_theta: Float[Array, "K F"]
    levels: tuple[int, ...] = eqx.field(static=True)
    binary: tuple[bool, ...] = eqx.field(static=True)

    @property
    def num_parameters(self) -> int:
        return len(self.log_theta) * (sum(self.levels) - len(self.levels))

    @property
    def width(self) -> int:
        return sum(self.levels)

    @property
    def first(self) -> Int[np.ndarray, " D"]:
        """The place of code 0 of each column."""
        return np.cumsum([0, *self.levels[:-1]])

    def mixed(self, r: Float[Array, " K"]) -> Float[Array, "D V"]:
        """The probabilities of a mixture, 0 beyond the V_d of a column."""
        p = r @ jnp.exp(jnp.asarray(self.log_theta))
        code = np.arange(max(self.levels))
        exists = code < np.asarray(self.levels)[:, None]
        return jnp.where(exists, p[np.where(exists, code + self.first[:, None], 0)], 0.0)

    def log_cells(self, x: Float[Array, " D"]) -> Float[Array, "K D"]:
        code, levels = jnp.rint(x).astype(int), np.asarray(self.levels)
        known = (code == x) & (code >= 0) & (code < levels)
        place = jnp.where(known, code, 0) + self.first
        return jnp.where(known, jnp.asarray(self.log_theta)[:, place], -jnp.inf)

    def kernel(
        self, *, few: bool = False
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        table = jnp.maximum(self.log_theta, _LOG_ZERO)

        def summed(x: Array, seen: Array | None) -> Array:
            log_p = self._one_hot(x, seen) @ table.T
            return jnp.where(log_p > 0.5 * _LOG_ZERO, log_p, -jnp.inf)

        return summed

    def moments(
        self,
        x: Float[Array, "N D"],
        seen: Bool[Array, "N D"] | None,
        r: Float[Array, "N K"],
        *,
        few: bool = False,
    ) -> Float[Array, "K F"]:
        """Rows of each value."""
        return r.T @ self._one_hot(x, seen)

    def rebased(self, statistics: Float[Array, "K F"], columns: "Tables") -> Float[Array, "K F"]:
        return statistics

    def floor(
        self,
        rows: float | Float[np.ndarray, " D"],
        least: Float[Array, " D"],
        sample: Float[np.ndarray, "n D"],
    ) -> TableFloor:
        share = []
        for codes, levels in zip(sample.T, self.levels, strict=True):
            known = codes[~np.isnan(codes)].astype(int)
            share.append((np.bincount(known, minlength=levels) + 1) / (len(known) + levels))
        return TableFloor(jnp.asarray(rows * np.concatenate(share), least.dtype))

    def maximized(self, statistics: Float[Array, "K F"], floor: TableFloor) -> "Tables":
        rows = statistics + floor.pseudo
        total = self._per_column(rows)
        empty = total <= 0
        theta = rows / jnp.where(empty, 1.0, total)
        log_theta = jnp.where(empty, self.log_theta, jnp.log(theta))
        return Tables(log_theta, self.levels, self.binary)

    def log_penalty(self, floor: TableFloor) -> Float[Array, ""]:
        possible = jnp.maximum(self.log_theta, _LOG_ZERO)
        return jnp.sum(jnp.where(floor.pseudo > 0, floor.pseudo * possible, 0.0))

    def held(self, floor: TableFloor) -> Bool[Array, "K D"]:
        shape = (len(self.log_theta), len(self.levels))
        return jnp.zeros(shape, bool)  # probabilities have a bound of their own

    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        return jnp.any(jnp.isnan(self.log_theta), axis=1)

    def given(self, r: Float[Array, " K"]) -> Given:
        """Of a category the mode also stands for the mean, and the deviation is 1 - p(mode)."""
        p = self.mixed(r)
        mode = jnp.argmax(p, axis=1)
        mean = jnp.where(np.asarray(self.binary), p[:, 1], mode)
        return Given(mean, mode.astype(p.dtype), 1 - jnp.max(p, axis=1))

    def cumulative(self, column: int) -> Callable[[Float[Array, ""]], Float[Array, " K"]]:
        first, levels = int(self.first[column]), self.levels[column]
        theta = jnp.exp(jnp.asarray(self.log_theta)[:, first : first + levels])
        return lambda v: jnp.sum(jnp.where(np.arange(levels) <= v, theta, 0.0), axis=1)

    def mean(self, z: Float[Array, " K"]) -> Float[Array, " D"]:
        return self.given(z).mean

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " D"]:
        p = self.mixed(z)
        return jax.random.categorical(key, jnp.log(p), axis=1).astype(p.dtype)

    def points(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        """Values 0 and 1, two categories at a distance of 1."""
        column = np.repeat(np.arange(len(self.levels)), self.levels)
        chosen = (x[:, column] == self._codes()) * np.sqrt(0.5)
        return np.where(np.isnan(x[:, column]), np.nan, chosen)

    def described(self, names: list[str], categories: list[tuple[str, ...]]) -> list[Described]:
        theta = np.exp(np.asarray(self.log_theta))
        first = self.first.tolist()
        columns = zip(names, categories, self.levels, self.binary, first, strict=True)
        return [
            Described(
                f"p({name}={own[code] if code < len(own) else code})", i, theta[:, first + code]
            )
            for i, (name, own, levels, binary, first) in enumerate(columns)
            for code in range(int(binary), levels)
        ]

    def _codes(self) -> Int[np.ndarray, " F"]:
        return np.concatenate([np.arange(v) for v in self.levels])

    def _one_hot(
        self, x: Float[Array, "N D"], seen: Bool[Array, "N D"] | None
    ) -> Float[Array, "N F"]:
        column = np.repeat(np.arange(len(self.levels)), self.levels)
        chosen = x[:, column] == self._codes()
        if seen is not None:
            chosen = chosen & seen[:, column]
        return chosen.astype(x.dtype)

    def _per_column(self, values: Float[Array, "K F"]) -> Float[Array, "K F"]:
        """The sums over the values of each column, at all of them."""
        column = np.repeat(np.arange(len(self.levels)), self.levels)
        sums = jax.ops.segment_sum(values.T, column, len(self.levels), indices_are_sorted=True)
        return sums[column].T
