"""`AbstractFactorModel`: x is a linear function of a few standard normal factors, plus noise.

    z ~ N(0, I_d),    x | z ~ N(W z + mu, diag(psi)),    x ~ N(mu, C),  C = W W^T + diag(psi)

    p(z | x) = N(M^-1 W^T diag(psi)^-1 (x - mu), M^-1),    M = I + W^T diag(psi)^-1 W

Under a Gaussian guide N(m, S) the bound is closed as well:

    ELBO = log N(x; W m + mu, diag(psi)) - tr(diag(psi)^-1 W S W^T) / 2 - KL(N(m, S) to N(0, I))

The rows enter the evidence through their mean and scatter alone, so EM passes over the data once
(Rubin and Thayer 1982; Tipping and Bishop 1999). W is identified up to a rotation.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, Datum, InputError, Terms, option
from taut.distributions import closed_kl
from taut.models.exact.abstract import AbstractExactModel
from taut.models.exact.varying_cells import Constants, varying, whole

__all__ = ["AbstractFactorModel", "Scatter", "best_loadings"]

_LOG_2PI = 1.8378770664093453
_HELD = 1 + 1e-6  # times the least noise: what a logarithm and back may add to it


class Scatter(NamedTuple):
    """Moments of the rows about the mean of the model that gathered them.

    Attributes:
        total: sum of the weights, ().
        first: weighted sum of x - mu, (D,).
        second: weighted sum of (x - mu)(x - mu)^T, (D, D).
    """

    total: Float[Array, ""]
    first: Float[Array, " D"]
    second: Float[Array, "D D"]


class AbstractFactorModel(AbstractExactModel):
    """Linear factors with independent Gaussian noise in each column."""

    statistics_depend_on_model: ClassVar[bool] = False

    center: eqx.AbstractVar[Float[Array, " D"]]
    loadings: eqx.AbstractVar[Float[Array, "D d"]]
    shape: eqx.AbstractVar[tuple[int, ...] | None]
    constants: eqx.AbstractVar[Constants]

    @property
    @abstractmethod
    def noise(self) -> Float[Array, " D"]:
        """psi, the variance of the noise in each column, (D,); data units squared."""

    @property
    def width(self) -> int:
        return 2 * self.center.shape[0]

    @property
    def marginal_covariance(self) -> Float[Array, "D D"]:
        """C, (D, D)."""
        return self.loadings @ self.loadings.T + jnp.diag(self.noise)

    def terms(self, datum: Datum, z: Any) -> Terms:
        log_likelihood = self._over_observed(datum, self._log_cells(datum, z))
        return {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: jnp.asarray(self.prior().log_prob(z))}

    def prior(self) -> Any:
        rank = self.loadings.shape[1]
        return dist.Normal(jnp.zeros(rank), jnp.ones(rank)).to_event(1)

    def mean(self, z: Float[Array, " d"]) -> Float[Array, "..."]:
        return whole(self.loadings @ z + self.center, self.constants, self.shape)

    def sample(self, z: Float[Array, " d"], key: PRNGKeyArray) -> Float[Array, "..."]:
        noise = jax.random.normal(key, self.center.shape, self.center.dtype)
        cells = self.loadings @ z + self.center + jnp.sqrt(self.noise) * noise
        return whole(cells, self.constants, self.shape)

    def posterior(self, datum: Datum) -> Any:
        deviation = self._flat(datum.x) - self.center
        scaled = self.loadings / self.noise[:, None]  # diag(psi)^-1 W
        if datum.mask is not None:
            mask = self._flat(datum.mask)
            deviation = jnp.where(mask, deviation, 0.0)
            scaled = jnp.where(mask[:, None], scaled, 0.0)
        precision = jnp.eye(self.loadings.shape[1]) + self.loadings.T @ scaled
        location = cho_solve((jnp.linalg.cholesky(precision), True), scaled.T @ deviation)
        return dist.MultivariateNormal(location, precision_matrix=precision)

    def log_evidence(self, datum: Datum) -> Float[Array, ""]:
        covariance, deviation = self.marginal_covariance, self._flat(datum.x) - self.center
        observed = jnp.asarray(deviation.shape[0])
        if datum.mask is not None:
            # Unobserved cells become independent of the rest, with variance 1 and no deviation.
            mask = self._flat(datum.mask)
            both = mask[:, None] & mask[None, :]
            covariance = jnp.where(both, covariance, jnp.eye(deviation.shape[0]))
            deviation = jnp.where(mask, deviation, 0.0)
            observed = jnp.sum(mask)
        factor = jnp.linalg.cholesky(covariance)
        whitened = solve_triangular(factor, deviation, lower=True)
        log_volume = -jnp.sum(jnp.log(jnp.diagonal(factor)))
        return log_volume - 0.5 * (jnp.sum(whitened**2) + observed * _LOG_2PI)

    def elbo(self, datum: Datum, q: dist.Distribution) -> Float[Array, ""]:
        """The ELBO under a Gaussian q in nats, exact; a lower bound of `log_evidence`.

        Arguments:
            datum: one row.
            q: a `MultivariateNormal`, or a `Normal` that is independent over its event, (d,).

        Raises:
            InputError: another family.
        """
        lost = 0.5 * _image_of_spread(self.loadings, q) / self.noise
        kl = closed_kl(q, self.prior())
        assert kl is not None  # there is a rule for every pair of Gaussians
        return self._over_observed(datum, self._log_cells(datum, q.mean) - lost) - kl

    def expectation(self) -> Callable[[Float[Array, "N ..."], Float[Array, " N"]], Scatter]:
        def expected(x: Array, weight: Array) -> Scatter:
            y = varying(x.reshape(len(x), -1), self.constants) - self.center
            weighted = weight[:, None] * y
            return Scatter(jnp.sum(weight), jnp.sum(weighted, axis=0), weighted.T @ y)

        return expected

    def rebased(self, statistics: Scatter, model: Any) -> Scatter:
        total, first, second = statistics
        shift = model.center - self.center
        cross = jnp.outer(first, shift)
        second = second - cross - cross.T + total * jnp.outer(shift, shift)
        return Scatter(total, first - total * shift, second)

    def log_evidence_of(self, statistics: Scatter) -> Float[Array, ""]:
        """-(1/2) (n D log 2 pi + n log |C| + tr C^-1 S), S about mu."""
        factor = jnp.linalg.cholesky(self.marginal_covariance)
        trace = jnp.trace(cho_solve((factor, True), statistics.second))
        log_volume = -jnp.sum(jnp.log(jnp.diagonal(factor)))
        per_row = log_volume - 0.5 * self.center.shape[0] * _LOG_2PI
        return statistics.total * per_row - 0.5 * trace

    def floor(
        self, strength: float, *, added: float, least: Float[Array, "..."]
    ) -> Float[Array, " D"]:
        """The least noise variance of each column: a constraint."""
        if added > 0:
            raise InputError(
                "reg_covar for a Gaussian mixture", "a factor model, whose noise has a floor",
                option("floor"), where=option("reg_covar"),
            )  # fmt: skip
        return self._flat(least)

    def log_penalty(self, floor: Float[Array, " D"]) -> Float[Array, ""]:
        return jnp.zeros((), self.center.dtype)

    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        # Noise is what d products leave of a column's variance: a difference that itself rounds.
        communal = jnp.sum(self.loadings**2, axis=1)
        eps, terms = jnp.finfo(communal.dtype).eps, self.loadings.shape[1] + 2
        smallest = jnp.maximum(self._flat(rounding), terms * eps * (communal + self.noise))
        return ~jnp.all(self.noise > smallest, keepdims=True)  # True for NaN

    def held_by_floor(self, floor: Float[Array, " D"]) -> Int[Array, " C"]:
        # Without their noise these columns are a linear map of the factors: C stays regular in as many
        # directions as the map has, and loses the rest.
        held = self.noise <= _HELD * self._least_noise(floor)
        scaled = self.loadings / jnp.sqrt(self.noise)[:, None]
        values = jnp.linalg.svd(jnp.where(held[:, None], scaled, 0.0), compute_uv=False)
        return jnp.maximum(jnp.sum(held) - jnp.sum(values > 1), 0)[None]

    def _least_noise(self, floor: Float[Array, " D"]) -> Float[Array, " D"]:
        """The least that the M-step leaves of `noise`."""
        return floor

    def about_own_mean(self, statistics: Scatter) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
        """The rows' mean, (D,), and their covariance about it, (D, D), dividing by n."""
        shift = statistics.first / statistics.total
        covariance = statistics.second / statistics.total - jnp.outer(shift, shift)
        return self.center + shift, covariance

    def _log_cells(self, datum: Datum, z: Float[Array, " d"]) -> Float[Array, " D"]:
        """log p(x | z) by cell; of any value where a cell is not observed."""
        x = self._flat(datum.x)
        if datum.mask is not None:
            x = jnp.where(self._flat(datum.mask), x, self.center)
        return dist.Normal(self.loadings @ z + self.center, jnp.sqrt(self.noise)).log_prob(x)

    def _over_observed(self, datum: Datum, cells: Float[Array, " D"]) -> Float[Array, ""]:
        """The sum over the observed cells."""
        observed = cells if datum.mask is None else jnp.where(self._flat(datum.mask), cells, 0)
        return jnp.sum(observed)

    def _flat(self, row: Shaped[Array, "..."]) -> Shaped[Array, " D"]:
        return varying(jnp.reshape(row, -1), self.constants)


def best_loadings(
    covariance: Float[Array, "D D"], noise: Float[Array, " D"], rank: int
) -> Float[Array, "D d"]:
    """The W that maximises the evidence given the noise."""
    deviations = jnp.sqrt(noise)
    values, vectors = jnp.linalg.eigh(covariance / deviations / deviations[:, None])
    lengths = jnp.sqrt(jnp.maximum(values[::-1][:rank] - 1.0, 0.0))
    return deviations[:, None] * vectors[:, ::-1][:, :rank] * lengths


def _image_of_spread(loadings: Float[Array, "D d"], q: dist.Distribution) -> Float[Array, " D"]:
    """The diagonal of W S W^T for the covariance S of q."""
    if isinstance(q, dist.MultivariateNormal):
        return jnp.sum((loadings @ jnp.asarray(q.scale_tril)) ** 2, axis=1)
    if isinstance(q, dist.Independent) and isinstance(q.base_dist, dist.Normal):
        return loadings**2 @ q.variance
    raise InputError(
        "a Gaussian guide",
        type(q).__name__,
        "a MultivariateNormal, or a Normal with `.to_event(1)`",
        where="elbo",
    )
