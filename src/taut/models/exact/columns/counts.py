"""Columns of counts: negative binomial, or Poisson.

    x | k ~ NB(m_k, r_k):  E[x] = m_k,  Var[x] = m_k + m_k^2 / r_k;     r_k to infinity is the Poisson

The negative binomial is a Poisson with rate lambda ~ Gamma(r, r / m). EM with the rates as missing data
and with a free factor from rates to means, which moves nothing but the speed (parameter-expanded EM,
Liu, Rubin and Wu 1998), has the M-step

    m_k = sum_n r_nk x_n / n_k
    r_k solves  log r - digamma(r) = log(r' + m_k) - sum_n r_nk digamma(r' + x_n) / n_k,    r' the old

so that the evidence never falls. The left side falls from infinity to 0: one root, by Newton's method
from a start of three digits. Statistics are as small as the parameters, whatever the counts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, polygamma
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.distributions.count_densities import log_negative_binomial, log_poisson
from taut.distributions.stirling import digamma_excess
from taut.models.exact.columns.abstract import AbstractColumns, gathered_cells, summed_cells
from taut.models.exact.given import Given, given_components

__all__ = ["LARGEST_R", "LEAST_R", "Counts"]

LEAST_R, LARGEST_R = 1e-3, 1e6
"""Bounds of the inverse dispersion; at the upper one the variance is the Poisson's to m / 1e6."""
_NEWTON = 6  # steps, each of which doubles the digits
_SPREAD = 64  # values that stand for a column on its own


class CountMoments(NamedTuple):
    """Sums with responsibilities, (K, D) each.

    Attributes:
        rows: of 1 over observed cells.
        first: of x.
        logs: of digamma(r' + x), r' that of the component that gathered them; None of a Poisson.
    """

    rows: Float[Array, "K D"]
    first: Float[Array, "K D"]
    logs: Float[Array, "K D"] | None


class CountFloor(NamedTuple):
    """What keeps counts off the boundary.

    Attributes:
        rows: a, pseudo-rows.
        values: counts that each column is spread over on its own, equally, (Q, D).
    """

    rows: Float[Array, ""]
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
        return self._log_p(x[None], *self._parameters)

    def kernel(
        self,
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        return lambda x, seen: summed_cells(self._log_p, x, seen, self._parameters)

    def moments(
        self, x: Float[Array, "N D"], seen: Bool[Array, "N D"] | None, r: Float[Array, "N K"]
    ) -> CountMoments:
        if self.inverse_dispersion is None:
            rows, first = gathered_cells(lambda x, _: (x,), x, seen, r, (self.means,))
            return CountMoments(rows, first, None)

        def of_cell(x: Array, inverse: Array) -> tuple[Array, Array]:
            return x, digamma(x + inverse)

        return CountMoments(*gathered_cells(of_cell, x, seen, r, (self.inverse_dispersion,)))

    def rebased(self, statistics: CountMoments, columns: "Counts") -> CountMoments:
        return statistics

    def floor(
        self, rows: float, least: Float[Array, " D"], sample: Float[np.ndarray, "n D"]
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
        inverse, logs = self.inverse_dispersion, statistics.logs
        if inverse is not None and logs is not None:
            own = jnp.mean(digamma(floor.values[:, None] + inverse), axis=0)
            logs = (logs + floor.rows * own) / safe
            gap = jnp.log(inverse + means) - logs
            inverse = jnp.where(rows > 0, jnp.clip(_shape(gap), LEAST_R, LARGEST_R), inverse)
        return Counts(means, inverse, self.shift, self.scale)

    def log_penalty(self, floor: CountFloor) -> Float[Array, ""]:
        log_p = jnp.mean(self._log_p(floor.values[:, None], *self._parameters), axis=0)
        return jnp.where(floor.rows > 0, floor.rows * jnp.sum(log_p), 0.0)

    def held(self, floor: CountFloor) -> Int[Array, " K"]:
        return jnp.zeros(len(self.means), int)  # masses have a bound of their own

    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        return jnp.any(jnp.isnan(sum(self._parameters)), axis=1)

    def given(self, r: Float[Array, " K"]) -> Given:
        """The mode is the whole number nearest to the mean."""
        means = jnp.asarray(self.means)
        spread = 0.0 if self.inverse_dispersion is None else means**2 / self.inverse_dispersion
        found = given_components(r, means, means + spread)
        return found._replace(mode=jnp.rint(found.mean))

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

    def described(self, names: list[str]) -> dict[str, Float[np.ndarray, " K"]]:
        means = np.asarray(self.means)
        found = {f"mean_{name}": means[:, i] for i, name in enumerate(names)}
        if self.inverse_dispersion is None:
            return found
        deviations = np.sqrt(means + means**2 / np.asarray(self.inverse_dispersion))
        return found | {f"deviation_{name}": deviations[:, i] for i, name in enumerate(names)}

    @property
    def _parameters(self) -> tuple[Float[Array, "K D"], ...]:
        if self.inverse_dispersion is None:
            return (jnp.asarray(self.means),)
        return jnp.asarray(self.means), jnp.asarray(self.inverse_dispersion)

    @property
    def _log_p(self) -> Any:
        return log_poisson if self.inverse_dispersion is None else log_negative_binomial


def _shape(gap: Float[Array, "..."]) -> Float[Array, "..."]:
    """The r > 0 at which log r - digamma(r) = gap; the bound where the gap is none."""
    tiny = 0.5 / (4 * LARGEST_R)  # r beyond the upper bound
    gap = jnp.maximum(gap, tiny)
    # Minka, Estimating a Gamma distribution (2002), equation 10: right to 1.5 %.
    start = (3 - gap + jnp.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)

    def step(_: Any, r: Array) -> Array:
        # In 1 / r the function is nearly straight at both ends.
        off = -digamma_excess(r) - gap
        return 1 / (1 / r + off / (r**2 * (1 / r - polygamma(1, r))))

    return jax.lax.fori_loop(0, _NEWTON, step, start)
