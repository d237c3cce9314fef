"""`AbstractFactorModel`: x is a linear function of a few standard normal factors, plus noise.

    z ~ N(0, I_d),    x | z ~ N(W z + mu, diag(psi)),    x ~ N(mu, C),  C = W W^T + diag(psi)

    p(z | x) = N(M^-1 W^T diag(psi)^-1 (x - mu), M^-1),    M = I + W^T diag(psi)^-1 W

Under a Gaussian guide N(m, S) the bound is closed as well:

    ELBO = log N(x; W m + mu, diag(psi)) - tr(diag(psi)^-1 W S W^T) / 2 - KL(N(m, S) to N(0, I))

The rows enter the evidence through their mean and scatter alone, so EM passes over the data once
(Rubin and Thayer 1982; Tipping and Bishop 1999); rows that are fewer than the columns are kept instead
of their scatter. C is never formed: with the posterior mean m,

    log |C| = sum log psi + log |M|,    (x - mu)^T C^-1 (x - mu) = |x - mu - W m|^2 / psi + |m|^2

W is identified up to a rotation.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, Datum, InputError, Terms, option
from taut.distributions import closed_kl
from taut.models.exact.abstract import AbstractExactModel
from taut.models.exact.given import Given
from taut.models.exact.holes import Holes
from taut.models.exact.scatter import KeptRows, RowCovariance, Scatter, leading_directions
from taut.models.exact.varying_cells import Constants, varying, whole

__all__ = ["AbstractFactorModel", "best_loadings"]

_LOG_2PI = 1.8378770664093453
_HELD = 1 + 1e-6  # times the least noise: what a logarithm and back may add to it


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
        mask = None if datum.mask is None else self._flat(datum.mask)
        return self._log_density(self._flat(datum.x) - self.center, mask)

    def given(self, datum: Datum) -> Given:
        z = self.posterior(datum)
        spread = self.loadings @ jnp.asarray(z.scale_tril)
        mean, variance = (
            self.loadings @ z.mean + self.center,
            jnp.sum(spread**2, axis=1) + self.noise,
        )
        x = self._flat(datum.x)
        mask = jnp.ones(x.shape, bool) if datum.mask is None else self._flat(datum.mask)
        nothing = tuple((cell, 0.0) for cell, _ in self.constants)
        mean = whole(jnp.where(mask, x, mean), self.constants, self.shape)
        deviation = jnp.where(mask, 0.0, jnp.sqrt(variance))
        return Given(mean, mean, whole(deviation, nothing, self.shape))

    def cumulative(
        self, datum: Datum, place: int
    ) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        given = self.given(datum)
        mean, deviation = given.mean.reshape(-1)[place], given.deviation.reshape(-1)[place]
        return lambda v: ndtr((v - mean) / deviation)

    def completed(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, "..."]:
        z_key, x_key = jax.random.split(key)
        drawn = self._flat(self.sample(self.posterior(datum).sample(z_key), x_key))
        x = self._flat(datum.x)
        mask = jnp.ones(x.shape, bool) if datum.mask is None else self._flat(datum.mask)
        return whole(jnp.where(mask, x, drawn), self.constants, self.shape)

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

    def expectation(self) -> Callable[..., Scatter]:
        def expected(x: Array, weight: Array, holes: Holes | None = None) -> Scatter:
            y = self._rows(x) - self.center
            if holes is not None:
                return self._completed(y, weight, self._rows(holes.mask))
            weighted = weight[:, None] * y
            return Scatter(jnp.sum(weight), jnp.sum(weighted, axis=0), weighted.T @ y)

        return expected

    def width_with_holes(self, most: int) -> int:
        size, rank = self.loadings.shape
        return 2 * rank * (size + rank)

    def with_holes(self, statistics: Scatter) -> Scatter:
        return statistics._replace(log_evidence=self.log_evidence_of(statistics))

    def keeps(self, num_rows: int) -> bool:
        return num_rows < self.center.shape[0]

    def kept(self, x: Float[Array, "N ..."]) -> KeptRows:
        return KeptRows(self._rows(x) - self.center)

    def rebased(self, statistics: Scatter | KeptRows, model: Any) -> Scatter | KeptRows:
        return statistics.moved(model.center - self.center)

    def log_evidence_of(self, statistics: Scatter | KeptRows) -> Float[Array, ""]:
        """-(1/2) (n D log 2 pi + n log |C| + tr C^-1 S), S about mu; of rows with holes as gathered."""
        if isinstance(statistics, Scatter) and statistics.log_evidence is not None:
            return statistics.log_evidence
        if isinstance(statistics, KeptRows):
            return jnp.sum(jax.vmap(lambda row: self._log_density(row, None))(statistics.rows))
        factor = jnp.linalg.cholesky(self.marginal_covariance)
        trace = jnp.trace(cho_solve((factor, True), statistics.second))
        log_volume = -jnp.sum(jnp.log(jnp.diagonal(factor)))
        per_row = log_volume - 0.5 * self.center.shape[0] * _LOG_2PI
        return statistics.total * per_row - 0.5 * trace

    def floor(
        self,
        strength: float,
        *,
        added: float,
        least: Float[Array, "..."],
        sample: Float[np.ndarray, "n ..."],
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
        scaled = jnp.where(held[:, None], self.loadings / jnp.sqrt(self.noise)[:, None], 0.0)
        values = jnp.linalg.eigvalsh(scaled.T @ scaled)
        return jnp.maximum(jnp.sum(held) - jnp.sum(values > 1), 0)[None]

    def _least_noise(self, floor: Float[Array, " D"]) -> Float[Array, " D"]:
        """The least that the M-step leaves of `noise`."""
        return floor

    def about_own_mean(
        self, statistics: Scatter | KeptRows
    ) -> tuple[Float[Array, " D"], Float[Array, "D D"] | RowCovariance]:
        """The rows' mean, (D,), and their covariance about it, dividing by n."""
        return self.center + statistics.shift(), statistics.covariance()

    def _log_density(
        self, deviation: Float[Array, " D"], mask: Bool[Array, " D"] | None
    ) -> Float[Array, ""]:
        """log N(mu + deviation; mu, C) of the observed cells."""
        noise, precision = self.noise, 1 / self.noise
        observed = jnp.asarray(deviation.shape[0])
        if mask is not None:
            deviation, precision = jnp.where(mask, deviation, 0.0), jnp.where(mask, precision, 0.0)
            noise, observed = jnp.where(mask, noise, 1.0), jnp.sum(mask)
        scaled = self.loadings * precision[:, None]
        factor = jnp.linalg.cholesky(jnp.eye(scaled.shape[1]) + self.loadings.T @ scaled)
        z = cho_solve((factor, True), scaled.T @ deviation)
        # The least of this over z: an error of z enters squared.
        distance = jnp.sum(precision * (deviation - self.loadings @ z) ** 2) + jnp.sum(z**2)
        log_volume = -0.5 * jnp.sum(jnp.log(noise)) - jnp.sum(jnp.log(jnp.diagonal(factor)))
        return log_volume - 0.5 * (distance + observed * _LOG_2PI)

    def _completed(
        self, y: Float[Array, "N D"], weight: Float[Array, " N"], mask: Bool[Array, "N D"]
    ) -> Scatter:
        """The moments of rows whose missing cells count as expected given the others.

            E[x_m | x_o] - mu_m = W_m E[z | x_o],    Cov(x_m | x_o) = W_m M_o^-1 W_m^T + diag(psi_m)

        Arguments:
            y: x - mu; of any value where it is not observed.
            weight: of the rows.
            mask: True where a cell is observed.
        """
        (size, rank), noise, w = self.loadings.shape, self.noise, self.loadings
        observed, y = mask.astype(w.dtype), jnp.where(mask, y, 0.0)
        products = ((w / noise[:, None])[:, :, None] * w[:, None, :]).reshape(size, -1)
        m = jnp.eye(rank) + (observed @ products).reshape(-1, rank, rank)
        factor = jnp.linalg.cholesky(m)
        z = cho_solve((factor, True), (y @ (w / noise[:, None]))[..., None])[..., 0]
        fitted = z @ w.T
        distance = jnp.sum(observed * (y - fitted) ** 2 / noise, axis=1) + jnp.sum(z**2, axis=1)
        log_volume = -0.5 * observed @ (jnp.log(noise) + _LOG_2PI)
        pivots = jnp.diagonal(factor, axis1=1, axis2=2)
        log_evidence = log_volume - jnp.sum(jnp.log(pivots), axis=1) - 0.5 * distance
        y = y + (1 - observed) * fitted
        # L^-1 W^T of the missing cells, whose products are W_m M_o^-1 W_m^T.
        images = solve_triangular(factor, jnp.broadcast_to(w.T, (len(y), rank, size)), lower=True)
        images = images * ((1 - observed) * jnp.sqrt(weight)[:, None])[:, None]
        images = images.reshape(-1, size)
        weighted = weight[:, None] * y
        alone = jnp.diag(weight @ (1 - observed) * noise)
        second = weighted.T @ y + images.T @ images + alone
        return Scatter(
            jnp.sum(weight), jnp.sum(weighted, axis=0), second, jnp.sum(weight * log_evidence)
        )

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

    def _rows(self, x: Shaped[Array, "N ..."]) -> Shaped[Array, "N D"]:
        return varying(x.reshape(len(x), -1), self.constants)

    def _flat(self, row: Shaped[Array, "..."]) -> Shaped[Array, " D"]:
        return varying(jnp.reshape(row, -1), self.constants)


def best_loadings(
    covariance: Float[Array, "D D"] | RowCovariance, noise: Float[Array, " D"], rank: int
) -> Float[Array, "D d"]:
    """The W that maximises the evidence given the noise."""
    deviations = jnp.sqrt(noise)
    values, vectors = leading_directions(covariance, deviations, rank)
    return deviations[:, None] * vectors * jnp.sqrt(jnp.maximum(values[:rank] - 1.0, 0.0))


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
