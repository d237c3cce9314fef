"""Latent class analysis: a mixture of products of categoricals; of Bernoullis for two levels.

    p(x) = sum_k pi_k prod_d theta_kd(x_d)

    theta_kd(v) = (sum_n r_nk [x_nd = v] + a) / (n_k + V a)

with a pseudo-rows per value: the mode under theta_kd ~ Dirichlet(1 + a), maximum likelihood for a = 0
(Goodman 1974; Bishop 2006, section 9.3.3). Classes are identified up to their order at most.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core import Datum, InputError, option
from taut.models.exact.gaussian_statistics import per_row
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
    """

    total: Float[Array, " K"]
    cells: Float[Array, "K D V"]
    log_evidence: Float[Array, ""]


class LatentClass(AbstractMixture):
    """Mixture of K products of categoricals over rows of any shape with D cells.

    Attributes:
        logits: unnormalised log-weights, (K,).
        log_theta: log-probabilities of the values, (K, D, V); -inf for a value that never comes up.
        shape: shape of a row.
        top: x times `top` is the number of its value, 0..V - 1.
    """

    logits: Float[Array, " K"]
    log_theta: Float[Array, "K D V"]
    shape: tuple[int, ...] = eqx.field(static=True)
    top: int = eqx.field(static=True, default=1)

    statistics_depend_on_model: ClassVar[bool] = True

    def __check_init__(self):
        wanted = (self.logits.shape[0], math.prod(self.shape))
        if self.log_theta.shape[:2] != wanted:
            raise InputError(
                f"tables for {wanted[0]} classes and {wanted[1]} cells",
                f"shape {self.log_theta.shape}", "shape (K, D, V)", where="log_theta",
            )  # fmt: skip

    @property
    def num_parameters(self) -> int:
        number, cells, values = self.log_theta.shape
        return number - 1 + number * cells * (values - 1)

    @property
    def width(self) -> int:
        number, cells, values = self.log_theta.shape
        return cells * values + number

    def log_components(self, datum: Datum) -> Float[Array, " K"]:
        codes = self._codes(datum.x)
        known = (codes >= 0) & (codes < self.log_theta.shape[2])
        places = jnp.where(known, codes, 0)[None, :, None]
        cells = jnp.take_along_axis(self.log_theta, places, axis=2)[:, :, 0]
        cells = jnp.where(known, cells, -jnp.inf)
        if datum.mask is not None:
            cells = jnp.where(datum.mask.reshape(-1), cells, 0.0)
        return jnp.sum(cells, axis=1)

    def mean(self, z: Float[Array, " K"]) -> Float[Array, "..."]:
        values = jnp.arange(self.log_theta.shape[2]) / self.top
        return jnp.tensordot(z, jnp.exp(self.log_theta) @ values, axes=1).reshape(self.shape)

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, "..."]:
        theta = jnp.tensordot(z, jnp.exp(self.log_theta), axes=1)
        codes = jax.random.categorical(key, jnp.log(theta))
        return (codes / self.top).reshape(self.shape).astype(theta.dtype)

    def expectation(self) -> Callable[[Float[Array, "N ..."], Float[Array, " N"]], ClassCounts]:
        log_pi = self.log_pi
        table = jnp.maximum(self.log_theta, _LOG_ZERO).reshape(self.num_components, -1)

        def expected(x: Array, weight: Array) -> ClassCounts:
            one_hot = self._one_hot(x)
            log_joint = one_hot @ table.T + log_pi
            log_joint = jnp.where(log_joint > 0.5 * _LOG_ZERO, log_joint, -jnp.inf)
            log_evidence = jax.nn.logsumexp(log_joint, axis=1)
            possible = log_evidence > -jnp.inf
            centre = jnp.where(possible, log_evidence, 0.0)[:, None]
            r = jnp.exp(log_joint - centre) * weight[:, None]
            total = jnp.sum(jnp.where(weight > 0, weight * log_evidence, 0.0))
            return ClassCounts(*self._counts(one_hot, r), total)

        return expected

    def assigned(self, x: Float[Array, "N ..."], r: Float[Array, "N K"]) -> ClassCounts:
        return ClassCounts(*self._counts(self._one_hot(x), r), jnp.full((), jnp.nan))

    def rebased(self, statistics: ClassCounts, model: Any) -> ClassCounts:
        return statistics

    def floor(
        self, strength: float, *, added: float, spread: Float[Array, "..."], num_rows: float
    ) -> Float[Array, ""]:
        """a = strength pseudo-rows per class, cell and value."""
        if added > 0:
            raise InputError(
                "reg_covar for a Gaussian mixture", "a latent class model, which has no covariance",
                option("floor"), where=option("reg_covar"),
            )  # fmt: skip
        return jnp.asarray(strength, self.logits.dtype)

    def maximized(self, statistics: ClassCounts, floor: Float[Array, ""]) -> "LatentClass":
        values = self.log_theta.shape[2]
        cells = statistics.cells + floor
        total = statistics.total + values * floor
        # A class that holds nothing keeps what it has: any distribution is a maximiser.
        empty = (total <= 0)[:, None, None]
        log_theta = jnp.where(empty, self.log_theta, jnp.log(per_row(total, cells)))
        return LatentClass(log_weights(statistics.total), log_theta, self.shape, self.top)

    def log_penalty(self, floor: Float[Array, ""]) -> Float[Array, ""]:
        """a times the sum of log theta, nats; 0 for a = 0."""
        return jnp.where(floor > 0, floor * jnp.sum(jnp.maximum(self.log_theta, _LOG_ZERO)), 0.0)

    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        return jnp.any(jnp.isnan(self.log_theta), axis=(1, 2))

    def _counts(
        self, one_hot: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D V"]]:
        return jnp.sum(r, axis=0), (r.T @ one_hot).reshape(self.log_theta.shape)

    def _codes(self, x: Float[Array, "..."]) -> Int[Array, " D"]:
        return jnp.rint(x * self.top).astype(jnp.int32).reshape(-1)

    def _one_hot(self, x: Float[Array, "N ..."]) -> Float[Array, "N F"]:
        codes = jax.vmap(self._codes)(x)
        values = self.log_theta.shape[2]
        return jax.nn.one_hot(codes, values, dtype=self.logits.dtype).reshape(len(codes), -1)
