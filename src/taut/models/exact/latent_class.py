"""Latent class analysis: a mixture of products of categoricals; of Bernoullis for two levels.

    p(x) = sum_k pi_k prod_d theta_kd(x_d)

    theta_kd(v) = (sum_n r_nk [x_nd = v] + a) / (n_kd + V_d a),    n_kd = sum_n r_nk [x_nd observed]

with a pseudo-rows per value: the mode under theta_kd ~ Dirichlet(1 + a), maximum likelihood for a = 0
(Goodman 1974; Bishop 2006, section 9.3.3). Every cell has its own V_d values, whatever numbers stand for
them; another value has probability 0. Classes are identified up to their order at most.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core import MASS, Datum, InputError, Measure, counted, option
from taut.models.exact.given import Given, given_components
from taut.models.exact.holes import Holes
from taut.models.exact.mixture import AbstractMixture, log_weights

__all__ = ["ClassCounts", "LatentClass"]

# Stands for log 0 in matrix products, where 0 * log 0 must be 0.
_LOG_ZERO = -1e30


class ClassCounts(NamedTuple):
    """Expected counts.

    Attributes:
        total: rows per class, (K,).
        cells: rows per class, cell and value, (K, D, V).
        log_evidence: sum over rows of weight times log p(x), (); nats.
        observed: rows per class whose cell was observed, (K, D), where some were not; else None.
    """

    total: Float[Array, " K"]
    cells: Float[Array, "K D V"]
    log_evidence: Float[Array, ""]
    observed: Float[Array, "K D"] | None = None


class LatentClass(AbstractMixture):
    """Mixture of K products of categoricals over rows of any shape with D cells.

    Attributes:
        logits: unnormalised log-weights, (K,).
        log_theta: log-probabilities of the values, (K, D, V) for the largest V_d; -inf for a value that
            never comes up, and beyond the V_d of a cell.
        shape: shape of a row.
        top: x times `top` is a whole number, the code of its value.
        codes: the codes of every cell, by rising code; None for 0..V - 1 in all of them.
    """

    logits: Float[Array, " K"]
    log_theta: Float[Array, "K D V"]
    shape: tuple[int, ...] = eqx.field(static=True)
    top: int = eqx.field(static=True, default=1)
    codes: tuple[tuple[int, ...], ...] | None = eqx.field(static=True, default=None)

    statistics_depend_on_model: ClassVar[bool] = True

    def __check_init__(self):
        wanted = (self.logits.shape[0], math.prod(self.shape))
        if self.log_theta.shape[:2] != wanted:
            raise InputError(
                f"tables for {counted(wanted[0], 'class')} and {counted(wanted[1], 'cell')}",
                f"shape {self.log_theta.shape}", "shape (K, D, V)", where="log_theta",
            )  # fmt: skip

    @property
    def measure(self) -> Measure:
        return Measure((MASS,))

    @property
    def num_parameters(self) -> int:
        number = self.log_theta.shape[0]
        return number - 1 + number * int(np.sum(self._exists().sum(axis=1) - 1))

    @property
    def width(self) -> int:
        number, cells, values = self.log_theta.shape
        return cells * values + number

    def log_components(self, datum: Datum) -> Float[Array, " K"]:
        chosen = self._chosen(datum.x)
        # One value of a cell at most is chosen; where none is, the sum is empty.
        cells = jnp.sum(jnp.where(chosen, self.log_theta, 0.0), axis=2)
        cells = jnp.where(jnp.any(chosen, axis=1), cells, -jnp.inf)
        if datum.mask is not None:
            cells = jnp.where(datum.mask.reshape(-1), cells, 0.0)
        return jnp.sum(cells, axis=1)

    def mean(self, z: Float[Array, " K"]) -> Float[Array, "..."]:
        means = jnp.sum(jnp.exp(self.log_theta) * self.values(), axis=2)
        return jnp.tensordot(z, means, axes=1).reshape(self.shape)

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, "..."]:
        theta = jnp.tensordot(z, jnp.exp(self.log_theta), axes=1)
        places = jax.random.categorical(key, jnp.log(theta))
        drawn = jnp.take_along_axis(jnp.asarray(self.values()), places[:, None], axis=1)
        return drawn.reshape(self.shape).astype(theta.dtype)

    def given(self, datum: Datum) -> Given:
        r, theta = self.responsibilities(datum), jnp.exp(self.log_theta)
        values = jnp.asarray(self.values(), theta.dtype)
        means = jnp.sum(theta * values, axis=2)
        variances = jnp.sum(theta * (values - means[:, :, None]) ** 2, axis=2)
        found = given_components(r, means, variances)
        likely = jnp.argmax(jnp.tensordot(r, theta, axes=1), axis=1)[:, None]
        mode = jnp.take_along_axis(values, likely, axis=1)[:, 0]
        x = datum.x.reshape(-1)
        mask = jnp.ones(x.shape, bool) if datum.mask is None else datum.mask.reshape(-1)
        cells = (x, x, jnp.zeros_like(x)), (found.mean, mode, found.deviation)
        return Given(
            *(jnp.where(mask, a, b).reshape(self.shape) for a, b in zip(*cells, strict=True))
        )

    def cumulative(
        self, datum: Datum, place: int
    ) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        p = self.responsibilities(datum) @ jnp.exp(self.log_theta[:, place])
        values = self.values()[place]
        return lambda v: jnp.sum(jnp.where(values <= v, p, 0.0))

    def completed(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, "..."]:
        z_key, x_key = jax.random.split(key)
        drawn = self.sample(self.drawn_component(datum, z_key), x_key)
        return datum.x if datum.mask is None else jnp.where(datum.mask, datum.x, drawn)

    def expectation(self) -> Callable[..., ClassCounts]:
        log_pi, values = self.log_pi, self.log_theta.shape[2]
        table = jnp.maximum(self.log_theta, _LOG_ZERO).reshape(self.num_components, -1)

        def expected(x: Array, weight: Array, holes: Holes | None = None) -> ClassCounts:
            one_hot = self.one_hot(x)
            missing = None if holes is None else ~holes.mask.reshape(len(x), -1)
            if missing is not None:
                one_hot = jnp.where(jnp.repeat(missing, values, axis=1), 0.0, one_hot)
            log_joint = one_hot @ table.T + log_pi
            log_joint = jnp.where(log_joint > 0.5 * _LOG_ZERO, log_joint, -jnp.inf)
            log_evidence = jax.nn.logsumexp(log_joint, axis=1)
            possible = log_evidence > -jnp.inf
            centre = jnp.where(possible, log_evidence, 0.0)[:, None]
            r = jnp.exp(log_joint - centre) * weight[:, None]
            total = jnp.sum(jnp.where(weight > 0, weight * log_evidence, 0.0))
            observed = None if missing is None else r.T @ (~missing).astype(r.dtype)
            return ClassCounts(*self._counts(one_hot, r), total, observed)

        return expected

    def assigned(self, x: Float[Array, "N ..."], r: Float[Array, "N K"]) -> ClassCounts:
        return ClassCounts(*self._counts(self.one_hot(x), r), jnp.full((), jnp.nan))

    def with_holes(self, statistics: ClassCounts) -> ClassCounts:
        shape = self.log_theta.shape[:2]
        return statistics._replace(observed=jnp.broadcast_to(statistics.total[:, None], shape))

    def rebased(self, statistics: ClassCounts, model: Any) -> ClassCounts:
        return statistics

    def floor(
        self,
        strength: float,
        *,
        added: float,
        least: Float[Array, "..."],
        sample: Float[np.ndarray, "n ..."],
    ) -> Float[Array, ""]:
        """a = strength pseudo-rows per class, cell and value."""
        if added > 0:
            raise InputError(
                "reg_covar for a Gaussian mixture", "a latent class model, which has no covariance",
                option("floor"), where=option("reg_covar"),
            )  # fmt: skip
        return jnp.asarray(strength, self.logits.dtype)

    def maximized(self, statistics: ClassCounts, floor: Float[Array, ""]) -> "LatentClass":
        exists = self._exists()
        cells = statistics.cells + jnp.where(exists, floor, 0.0)
        rows = statistics.total[:, None] if statistics.observed is None else statistics.observed
        total = rows + exists.sum(axis=1) * floor
        # A class that holds nothing keeps what it has: any distribution is a maximiser.
        empty = total <= 0
        theta = cells / jnp.where(empty, 1.0, total)[:, :, None]
        log_theta = jnp.where(empty[:, :, None], self.log_theta, jnp.log(theta))
        logits = log_weights(statistics.total)
        return LatentClass(logits, log_theta, self.shape, self.top, self.codes)

    def log_penalty(self, floor: Float[Array, ""]) -> Float[Array, ""]:
        """a times the sum of log theta, nats; 0 for a = 0."""
        possible = jnp.where(self._exists(), jnp.maximum(self.log_theta, _LOG_ZERO), 0.0)
        return jnp.where(floor > 0, floor * jnp.sum(possible), 0.0)

    def held_by_floor(self, floor: Float[Array, ""]) -> Int[Array, " C"]:
        return jnp.zeros(1, int)  # probabilities have a bound of their own

    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        return jnp.any(jnp.isnan(self.log_theta), axis=(1, 2))

    def _counts(
        self, one_hot: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D V"]]:
        return jnp.sum(r, axis=0), (r.T @ one_hot).reshape(self.log_theta.shape)

    def values(self) -> Float[np.ndarray, "D V"]:
        """What x is for each value of each cell; 0 beyond the V_d of a cell."""
        return np.where(self._exists(), self._code_table(), 0) / self.top

    def one_hot(self, x: Float[Array, "N ..."]) -> Float[Array, "N F"]:
        """Which value every cell has, F = D V; all 0 for a cell that has another one."""
        chosen = jax.vmap(self._chosen)(x)
        return chosen.astype(self.logits.dtype).reshape(len(x), -1)

    def _chosen(self, x: Float[Array, "..."]) -> Bool[Array, "D V"]:
        codes = jnp.rint(x * self.top).reshape(-1, 1)
        return (codes == self._code_table()) & self._exists()

    def _code_table(self) -> Float[np.ndarray, "#D V"]:
        values = self.log_theta.shape[2]
        if self.codes is None:
            return np.arange(float(values))[None]
        rows = [(*codes, *[0] * (values - len(codes))) for codes in self.codes]
        return np.asarray(rows, float)

    def _exists(self) -> Bool[np.ndarray, "D V"]:
        """Which entries of a table stand for a value of their cell."""
        _, cells, values = self.log_theta.shape
        numbers = [values] * cells if self.codes is None else [len(codes) for codes in self.codes]
        return np.arange(values) < np.asarray(numbers)[:, None]
