"""Columns of counts: negative binomial, or Poisson.

    x | k ~ NB(m_k, r_k):  E[x] = m_k,  Var[x] = m_k + m_k^2 / r_k;     r_k to infinity is the Poisson

    m_k = sum_n r_nk x_n / n_k

and r_k is raised by `taut.models.exact.columns.dispersion`, so that the evidence never falls. Statistics
are as small as the parameters, whatever the counts.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, digamma, gammaincc, gammaln
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.distributions.count_densities import log_negative_binomial, log_poisson
from taut.models.exact.columns.abstract import AbstractColumns, gathered_cells, summed_cells
from taut.models.exact.columns.described import Described
from taut.models.exact.columns.dispersion import inverse_dispersions, squares_below
from taut.models.exact.columns.negative_binomial import digammas, log_masses
from taut.models.exact.given import Given, given_components

__all__ = ["CountFloor", "Counts"]

_SPREAD = 64  # values that stand for a column on its own


class CountMoments(NamedTuple):
    """Sums with responsibilities, (K, D) each.

    Attributes:
        rows: of 1 over observed cells.
        first: of x.
        logs: of digamma(r' + x), r' that of the component that gathered them; None of a Poisson.
        squares: of j^2 over 0 <= j < x; None of a Poisson.
    """

    rows: Float[Array, "K D"]
    first: Float[Array, "K D"]
    logs: Float[Array, "K D"] | None = None
    squares: Float[Array, "K D"] | None = None


class CountFloor(NamedTuple):
    """What keeps counts off the boundary.

    Attributes:
        rows: a, pseudo-rows, () or (D,).
        values: counts that each column is spread over on its own, equally, (Q, D).
    """

    rows: Float[Array, "*D"]
    values: Float[Array, "Q D"]


class Counts(AbstractColumns):
    """Negative binomial columns; Poisson without an inverse dispersion.

    Attributes:
        means: m, (K, D).
        inverse_dispersion: r, (K, D), from 1e-3 to 1e6; None for Poisson columns.
        shift, scale: of log(1 + x) over the training rows.
    """

    means: Float[Array, "K D"]
    inverse_dispersion: Float[Array, "K D"] | None
    shift: tuple[float, ...] = eqx.field(static=True)
    scale: tuple[float, ...] = eqx.field(static=True)

    @property
    def num_parameters(self) -> int:
        return self.means.size * (1 if self.inverse_dispersion is None else 2)

    @property
    def width(self) -> int:
        return self.means.shape[1]

    def log_cells(self, x: Float[Array, " D"]) -> Float[Array, "K D"]:
        log_p = log_poisson if self.inverse_dispersion is None else log_negative_binomial
        return log_p(x, *self._parameters)

    def kernel(
        self, *, few: bool = False
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        log_p = _log_poisson if self.inverse_dispersion is None else log_masses
        return lambda x, seen: summed_cells(log_p, x, seen, self._parameters, few=few)

    def moments(
        self,
        x: Float[Array, "N D"],
        seen: Bool[Array, "N D"] | None,
        r: Float[Array, "N K"],
        *,
        few: bool = False,
    ) -> CountMoments:
        known = jnp.ones_like(x) if seen is None else seen.astype(x.dtype)
        cells = jnp.concatenate([known, x * known, squares_below(x) * known], axis=1)
        rows, first, squares = jnp.split(r.T @ cells, 3, axis=1)
        if self.inverse_dispersion is None:
            return CountMoments(rows, first)
        logs = gathered_cells(digammas, x, seen, r, (self.inverse_dispersion,), few=few)
        return CountMoments(rows, first, logs, squares)

    def rebased(self, statistics: CountMoments, columns: "Counts") -> CountMoments:
        return statistics

    def floor(
        self,
        rows: float | Float[np.ndarray, " D"],
        least: Float[Array, " D"],
        sample: Float[np.ndarray, "n D"],
    ) -> CountFloor:
        places = (np.arange(_SPREAD) + 0.5) / _SPREAD
        # A column that no row of the sample has says nothing, as a column of zeros.
        seen = [column[~np.isnan(column)] for column in sample.T]
        values = [
            np.quantile(c, places, method="inverted_cdf") if len(c) else 0 * places for c in seen
        ]
        dtype = least.dtype
        return CountFloor(jnp.asarray(rows, dtype), jnp.asarray(np.stack(values, axis=1), dtype))

    def maximized(self, statistics: CountMoments, floor: CountFloor) -> "Counts":
        rows, first = statistics.rows + floor.rows, statistics.first
        first = first + floor.rows * jnp.mean(floor.values, axis=0)
        safe = jnp.where(rows > 0, rows, 1.0)
        means = jnp.where(rows > 0, first / safe, self.means)
        inverse = self.inverse_dispersion
        if inverse is not None and statistics.logs is not None and statistics.squares is not None:
            own = jnp.mean(digamma(floor.values[:, None] + inverse), axis=0)
            logs = (statistics.logs + floor.rows * own) / safe
            below = jnp.mean(squares_below(floor.values), axis=0)
            squares = (statistics.squares + floor.rows * below) / safe
            raised = inverse_dispersions(inverse, means, logs, squares)
            inverse = jnp.where(rows > 0, raised, inverse)
        return Counts(means, inverse, self.shift, self.scale)

    def log_penalty(self, floor: CountFloor) -> Float[Array, ""]:
        log_mass = _log_poisson if self.inverse_dispersion is None else log_masses
        each = jnp.full((len(floor.values), len(self.means)), 1 / len(floor.values))
        log_p = gathered_cells(log_mass, floor.values, None, each, self._parameters)
        return jnp.sum(jnp.where(floor.rows > 0, floor.rows * log_p, 0.0))

    def held(self, floor: CountFloor) -> Bool[Array, "K D"]:
        return jnp.zeros(self.means.shape, bool)  # masses have a bound of their own

    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        return jnp.any(jnp.isnan(sum(self._parameters)), axis=1)

    def given(self, r: Float[Array, "K *D"]) -> Given:
        """The mode is the whole number nearest to the mean."""
        means = jnp.asarray(self.means)
        spread = 0.0 if self.inverse_dispersion is None else means**2 / self.inverse_dispersion
        found = given_components(r, means, means + spread)
        return found._replace(mode=jnp.rint(found.mean))

    def cumulative(self, column: int) -> Callable[[Float[Array, ""]], Float[Array, " K"]]:
        means, *inverse = (part[:, column] for part in self._parameters)

        def cumulated(v: Float[Array, ""]) -> Float[Array, " K"]:
            above = jnp.maximum(jnp.floor(v), 0.0) + 1  # x < this
            if not inverse:
                p = gammaincc(above, means)
            else:
                p = betainc(inverse[0], above, inverse[0] / (inverse[0] + means))
            return jnp.where(v >= 0, p, 0.0)

        return cumulated

    def mean(self, z: Float[Array, " K"]) -> Float[Array, " D"]:
        return z @ jnp.asarray(self.means)

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " D"]:
        rate, count = jax.random.split(key)
        mean = self.mean(z)
        if self.inverse_dispersion is not None:
            inverse = z @ jnp.asarray(self.inverse_dispersion)
            mean = mean * jax.random.gamma(rate, inverse, mean.shape, mean.dtype) / inverse
        return jax.random.poisson(count, mean, mean.shape).astype(mean.dtype)

    def points(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        return (np.log1p(x) - np.asarray(self.shift)) / np.asarray(self.scale)

    def described(self, names: list[str], categories: list[tuple[str, ...]]) -> list[Described]:
        means = np.asarray(self.means)
        found = [Described(f"mean_{n}", i, means[:, i]) for i, n in enumerate(names)]
        if self.inverse_dispersion is None:
            return found
        deviations = np.sqrt(means + means**2 / np.asarray(self.inverse_dispersion))
        return found + [
            Described(f"deviation_{n}", i, deviations[:, i]) for i, n in enumerate(names)
        ]

    @property
    def _parameters(self) -> tuple[Float[Array, "K D"], ...]:
        if self.inverse_dispersion is None:
            return (jnp.asarray(self.means),)
        return jnp.asarray(self.means), jnp.asarray(self.inverse_dispersion)


def _log_poisson(x: Float[Array, "N 1"], mean: Float[Array, " K"]) -> Float[Array, "N K"]:
    by_mean = jnp.where(x > 0, x * jnp.log(mean), 0.0)
    return by_mean - mean - gammaln(x + 1)
