"""The Gaussian mixture.

    p(x) = sum_k pi_k N(x; mu_k, Sigma_k)

    r_nk = p(z_n = e_k | x_n)
    pi_k = n_k / N,   mu_k = sum_n r_nk x_n / n_k,   Sigma_k = S_k / n_k      (no floor)

with n_k = sum_n r_nk and S_k the scatter about mu_k (Dempster, Laird and Rubin 1977, section 4.3).
Covariances are full, tied, diag or spherical, and may have a floor: Sigma_k - F has no negative
eigenvalue. No array has more than (rows of a batch) x F or, on the centred route, (rows of a batch) x
K x D entries.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from taut.core import Datum
from taut.models.exact.covariances import COVARIANCES, AbstractCovariance, CovarianceFloor
from taut.models.exact.gaussian_holes import Gaps, centred_with_holes, product_with_holes
from taut.models.exact.gaussian_statistics import GaussianStatistics, per_row, responsibilities
from taut.models.exact.given import Given, given_components
from taut.models.exact.holes import WRITTEN_OUT, Holes
from taut.models.exact.mixture import AbstractMixture, log_weights
from taut.models.exact.varying_cells import Constants, varying, varying_places, whole

__all__ = ["ROUNDING", "GaussianMixture"]

ROUNDING = 1e-9
"""Nats per row that a log-density may lose to the cancellation of the product route."""
_WIDEST = 128  # columns: beyond, the D^2 / 2 products of a row cost more memory than they save work
_LOG_2PI = 1.8378770664093453


class GaussianMixture(AbstractMixture):
    """Mixture of K Gaussians over (D,) rows.

    Attributes:
        logits: unnormalised log-weights, (K,).
        means: (K, D), data units.
        scale: factors or standard deviations, of the shape that the kind of covariance has.
        kind: `full`, `tied`, `diag` or `spherical`.
        shape: of a row; None for (D,). Other rows are read as flat, in C order.
        constants: cells of the flat row that are no columns of the model, with their values.
    """

    logits: Float[Array, " K"]
    means: Float[Array, "K D"]
    scale: Float[Array, "..."]
    kind: str = eqx.field(static=True, default="full")
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    constants: Constants = eqx.field(static=True, default=())

    statistics_depend_on_model: ClassVar[bool] = True

    @property
    def covariance(self) -> AbstractCovariance:
        """What `scale` means."""
        return COVARIANCES[self.kind]

    @property
    def covariances(self) -> Float[Array, "K D D"]:
        """Sigma_k, (K, D, D)."""
        factor = self.covariance.tril(self._scale, self._means)
        return factor @ jnp.swapaxes(factor, 1, 2)

    @property
    def num_parameters(self) -> int:
        number, size = self.means.shape
        return number - 1 + number * size + self.covariance.num_parameters(number, size)

    @property
    def width(self) -> int:
        number, size = self.means.shape
        if self._wide:
            return number * size
        return self.covariance.num_features(size) + number

    def width_with_holes(self, most: int) -> int:
        number, size = self.means.shape
        blocks = 3 if most <= WRITTEN_OUT else 6  # a loop has its matrices twice
        cells = 2 * size + blocks * most**2 if self.covariance.correlated else size
        return max(self.width, self.covariance.num_features(size) + number * cells)

    def log_components(self, datum: Datum) -> Float[Array, " K"]:
        if datum.mask is not None:
            x, mask = self._flat(datum.x), self._flat(datum.mask)
            if not self.covariance.correlated:
                variances = self.covariance.variances(self._scale, self._means)
                return _independent_log_density(x, mask, self._means, variances)
            return _marginal_log_density(x, mask, self._means, self.covariances)
        inverse = self.covariance.inverse(self._scale)
        whitened = self.covariance.whitened(inverse, (self._flat(datum.x) - self._means)[None])[0]
        return self._constants() - 0.5 * jnp.sum(whitened**2, axis=1)

    def mean(self, z: Float[Array, " K"]) -> Float[Array, "..."]:
        return whole(z @ self._means, self.constants, self.shape)

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, "..."]:
        factor = jnp.tensordot(z, self.covariance.tril(self._scale, self._means), axes=1)
        noise = jax.random.normal(key, self.means.shape[1:], self._means.dtype)
        return whole(z @ self._means + factor @ noise, self.constants, self.shape)

    def given(self, datum: Datum) -> Given:
        x, nothing = self._flat(datum.x), tuple((cell, 0.0) for cell, _ in self.constants)
        mean, deviation = x, jnp.zeros_like(x)
        if datum.mask is not None:
            mask = self._flat(datum.mask)
            found = given_components(self.responsibilities(datum), *self._conditional(x, mask))
            mean = jnp.where(mask, x, found.mean)
            deviation = jnp.where(mask, 0.0, found.deviation)
        mean = whole(mean, self.constants, self.shape)
        return Given(mean, mean, whole(deviation, nothing, self.shape))

    def cumulative(
        self, datum: Datum, place: int
    ) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        x, r = self._flat(datum.x), self.responsibilities(datum)
        mask = jnp.ones(x.shape, bool) if datum.mask is None else self._flat(datum.mask)
        own = place - sum(cell < place for cell, _ in self.constants)
        means, variances = (part[:, own] for part in self._conditional(x, mask))
        return lambda v: r @ ndtr((v - means) / jnp.sqrt(variances))

    def completed(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, "..."]:
        z_key, x_key = jax.random.split(key)
        k = jnp.argmax(self.drawn_component(datum, z_key))
        noise = jax.random.normal(x_key, self.means.shape[1:], self._means.dtype)
        drawn = self._means[k] + self.covariance.tril(self._scale, self._means)[k] @ noise
        mask = jnp.ones(drawn.shape, bool) if datum.mask is None else self._flat(datum.mask)
        # A draw of the whole row, moved by what its observed cells explain of where they should be.
        missed = jnp.where(mask, self._flat(datum.x) - drawn, 0.0)
        # Of all components, as their responsibilities are, for all draws of a row at once.
        factor, across = (part[k] for part in _observed_part(self.covariances, mask))
        moved = drawn + across @ cho_solve((factor, True), missed)
        moved = jnp.where(mask, self._flat(datum.x), moved)
        return whole(moved, self.constants, self.shape)

    def expectation(self) -> Callable[..., GaussianStatistics]:
        constants, origin = self._constants() + self.log_pi, self._origin()
        coefficients = self.covariance.coefficients(self._scale, self._means - origin)
        inverse, cancels = self.covariance.inverse(self._scale), self._cancels()
        parts = (self.covariance, self._scale)
        products_with_holes = product_with_holes(*parts, self._means - origin, constants)
        differences_with_holes = centred_with_holes(*parts, self._means, constants)

        def product(x: Array, weight: Array) -> GaussianStatistics:
            features = self.covariance.features(self._rows(x) - origin)
            log_joint = self.covariance.kernel(coefficients, features) + constants
            r, log_evidence = responsibilities(log_joint, weight)
            return GaussianStatistics(*self.covariance.moments(features, r), log_evidence)

        def centred(x: Array, weight: Array) -> GaussianStatistics:
            differences = self._rows(x)[:, None] - self._means
            whitened = self.covariance.whitened(inverse, differences)
            log_joint = constants - 0.5 * jnp.sum(whitened**2, axis=2)
            r, log_evidence = responsibilities(log_joint, weight)
            first = jnp.einsum("nk,nkd->kd", r, differences)
            second = self.covariance.second(differences, r)
            return GaussianStatistics(jnp.sum(r, axis=0), first, second, log_evidence)

        def by_products(x: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
            y = jnp.where(gaps.mask, self._rows(x) - origin, 0.0)
            return products_with_holes(y, weight, gaps)

        def by_differences(x: Array, weight: Array, gaps: Gaps) -> GaussianStatistics:
            y = jnp.where(gaps.mask[:, None], self._rows(x)[:, None] - self._means, 0.0)
            return differences_with_holes(y, weight, gaps)

        def expected(x: Array, weight: Array, holes: Holes | None = None) -> GaussianStatistics:
            routes: tuple[Callable, Callable] = (centred, product)
            rows: tuple[Any, ...] = (x, weight)
            if holes is not None:
                routes, rows = (by_differences, by_products), (x, weight, self._gaps(holes))
            return routes[0](*rows) if self._wide else jax.lax.cond(cancels, *routes, *rows)

        return expected

    def assigned(self, x: Float[Array, "N ..."], r: Float[Array, "N K"]) -> GaussianStatistics:
        features = self.covariance.features(self._rows(x) - self._origin())
        count, first, second = self.covariance.moments(features, r)
        shift = self._reference() - self._origin()
        second = self.covariance.moved(second, count, first, shift)
        first = first - count[:, None] * shift
        return GaussianStatistics(count, first, second, jnp.full((), jnp.nan))

    def rebased(self, statistics: GaussianStatistics, model: Any) -> GaussianStatistics:
        count, first, second, log_evidence = statistics
        shift = model._reference() - self._reference()
        second = self.covariance.moved(second, count, first, shift)
        return GaussianStatistics(count, first - count[:, None] * shift, second, log_evidence)

    def floor(
        self,
        strength: float,
        *,
        added: float,
        least: Float[Array, "..."],
        sample: Float[np.ndarray, "n ..."],
    ) -> CovarianceFloor:
        """The least covariance of every component, diag(least), and what is added to diagonals."""
        least = self._flat(least)
        return CovarianceFloor(least=least, added=jnp.asarray(added, least.dtype))

    def maximized(
        self, statistics: GaussianStatistics, floor: CovarianceFloor
    ) -> "GaussianMixture":
        count, first, second, _ = statistics
        shift = per_row(count, first)
        # About the new means, the scatter loses the part that belongs to the move of the means.
        scatter = self.covariance.moved(second, count, first, shift)
        return GaussianMixture(
            logits=log_weights(count),
            means=self._reference() + shift,
            scale=self.covariance.maximized(scatter, count, floor),
            kind=self.kind,
            shape=self.shape,
            constants=self.constants,
        )

    def log_penalty(self, floor: CovarianceFloor) -> Float[Array, ""]:
        return jnp.zeros((), self._means.dtype)

    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        variances = self.covariance.variances(self._scale, self._means)
        pivots = self.covariance.pivots(self._scale, self._means)
        smallest = 64 * self.means.shape[1] * jnp.finfo(pivots.dtype).eps
        sound = (variances > self._flat(rounding)) & (pivots > smallest)  # False for NaN
        return ~jnp.all(sound, axis=1)

    def held_by_floor(self, floor: CovarianceFloor) -> Int[Array, " C"]:
        return self.covariance.held(self._scale, self._means, floor.least)

    # A model that was read from files holds NumPy arrays.
    @property
    def _means(self) -> Float[Array, "K D"]:
        return jnp.asarray(self.means)

    @property
    def _scale(self) -> Float[Array, "..."]:
        return jnp.asarray(self.scale)

    def _flat(self, row: Shaped[Array, "..."]) -> Shaped[Array, " D"]:
        return varying(jnp.reshape(row, -1), self.constants)

    def _rows(self, x: Shaped[Array, "N ..."]) -> Shaped[Array, "N D"]:
        return varying(x.reshape(len(x), -1), self.constants)

    def _gaps(self, holes: Holes) -> Gaps:
        places = varying_places(holes.places, holes.mask[0].size, self.constants)
        return Gaps(self._rows(holes.mask), places)

    def _conditional(
        self, x: Float[Array, " D"], mask: Bool[Array, " D"]
    ) -> tuple[Float[Array, "K D"], Float[Array, "K D"]]:
        """The mean and variance of every missing cell given the observed ones, by component."""
        covariances, means = self.covariances, self._means
        factor, across = _observed_part(covariances, mask)
        whitened = solve_triangular(factor, jnp.where(mask, x - means, 0.0)[..., None], lower=True)
        shares = solve_triangular(factor, jnp.swapaxes(across, 1, 2), lower=True)
        left = jnp.diagonal(covariances, axis1=1, axis2=2) - jnp.sum(shares**2, axis=1)
        return means + jnp.sum(shares * whitened, axis=1), jnp.maximum(left, 0.0)

    @property
    def _wide(self) -> bool:
        return self.means.shape[1] > _WIDEST and self.kind == "full"

    def _constants(self) -> Float[Array, " K"]:
        """log N(mu_k; mu_k, Sigma_k), (K,)."""
        log_volume = self.covariance.log_volume(self._scale, self._means)
        return log_volume - 0.5 * self.means.shape[1] * _LOG_2PI

    def _origin(self) -> Float[Array, " D"]:
        """The mean of the mixture, which after an M-step is that of the rows."""
        return jnp.exp(self.log_pi) @ self._means

    def _reference(self) -> Float[Array, "K D"]:
        """Points that the moments are about."""
        if self._wide:
            return self._means
        return jnp.where(self._cancels(), self._means, self._origin())

    def _cancels(self) -> Bool[Array, ""]:
        """Whether the product route loses more than `ROUNDING`.

        Its terms are of the size of sum_d (Sigma_k^-1)_dd v_d for a row at a distance of the mixture's
        own standard deviation sqrt(v_d) from the origin; components without weight do not matter.
        """
        pi = jnp.exp(self.log_pi)
        deviations = self._means - self._origin()
        variances = self.covariance.variances(self._scale, self._means)
        spread = pi @ (variances + deviations**2)
        sizes = self.covariance.precisions(self._scale, self._means) @ spread
        largest = jnp.max(jnp.where(pi > 0, sizes, 0.0))
        return ~(jnp.finfo(pi.dtype).eps * largest < ROUNDING)


def _observed_part(
    covariances: Float[Array, "K D D"], mask: Bool[Array, " D"]
) -> tuple[Float[Array, "K D D"], Float[Array, "K D D"]]:
    """The factors of the covariances of the observed cells, and Sigma_k with its other columns at 0.

    A cell that was not observed is independent of the rest in the factors, with variance 1.
    """
    observed = mask[:, None] & mask[None, :]
    factor = jnp.linalg.cholesky(jnp.where(observed, covariances, jnp.eye(len(mask))))
    return factor, jnp.where(mask, covariances, 0.0)


def _independent_log_density(
    x: Float[Array, " D"],
    mask: Bool[Array, " D"],
    means: Float[Array, "K D"],
    variances: Float[Array, "K D"],
) -> Float[Array, " K"]:
    """log N of the observed cells, independent given the component."""
    squares = jnp.where(mask, x - means, 0.0) ** 2 / variances
    return -0.5 * jnp.sum(squares + mask * (jnp.log(variances) + _LOG_2PI), axis=1)


def _marginal_log_density(
    x: Float[Array, " D"],
    mask: Bool[Array, " D"],
    means: Float[Array, "K D"],
    covariances: Float[Array, "K D D"],
) -> Float[Array, " K"]:
    """log N of the observed cells.

    Unobserved cells become independent of the rest, with variance 1 and no deviation: they add nothing
    to the determinant or to the distance.
    """
    factor, _ = _observed_part(covariances, mask)
    deviation = jnp.where(mask, x - means, 0.0)
    whitened = solve_triangular(factor, deviation[..., None], lower=True)[..., 0]
    log_volume = -jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)), axis=1)
    return log_volume - 0.5 * (jnp.sum(whitened**2, axis=1) + jnp.sum(mask) * _LOG_2PI)
