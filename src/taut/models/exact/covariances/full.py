"""Full covariances: one positive definite matrix per component.

The features are y_i y_j for i <= j, then y, then 1: (D + 1)(D + 2) / 2 numbers a row.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from taut.models.exact.covariances.abstract import HELD, AbstractCovariance, CovarianceFloor
from taut.models.exact.gaussian_statistics import per_row

__all__ = ["Full", "directions_held", "factor_above", "factor_inverse"]


class Full(AbstractCovariance):
    """`scale` is the Cholesky factors, (K, D, D)."""

    name: ClassVar[str] = "full"
    correlated: ClassVar[bool] = True

    def shape(self, num_components: int, size: int) -> tuple[int, ...]:
        return (num_components, size, size)

    def num_parameters(self, num_components: int, size: int) -> int:
        return num_components * size * (size + 1) // 2

    def num_features(self, size: int) -> int:
        return (size + 1) * (size + 2) // 2

    def isotropic(self, deviations: Float[Array, " D"], num_components: int) -> Float[Array, "..."]:
        return jnp.tile(jnp.diag(deviations), (num_components, 1, 1))

    def tril(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D D"]:
        return scale

    def variances(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.sum(scale**2, axis=-1)

    def precisions(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.sum(factor_inverse(scale) ** 2, axis=-2)

    def log_volume(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, " K"]:
        return -jnp.sum(jnp.log(jnp.abs(jnp.diagonal(scale, axis1=-2, axis2=-1))), axis=-1)

    def pivots(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.diagonal(scale, axis1=-2, axis2=-1) ** 2 / self.variances(scale, centers)

    def inverse(self, scale: Float[Array, "..."]) -> Float[Array, "..."]:
        return factor_inverse(scale)

    def whitened(
        self, inverse: Float[Array, "..."], differences: Float[Array, "N K D"]
    ) -> Float[Array, "N K D"]:
        return jnp.einsum("kij,nkj->nki", inverse, differences)

    def features(self, y: Float[Array, "N D"]) -> Float[Array, "N F"]:
        products = [y[:, i : i + 1] * y[:, i:] for i in range(y.shape[1])]
        return jnp.concatenate([*products, y, jnp.ones((y.shape[0], 1), y.dtype)], axis=1)

    def coefficients(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> tuple[Float[Array, "..."], ...]:
        inverse = factor_inverse(scale)
        precision = jnp.einsum("kli,klj->kij", inverse, inverse)
        rows, columns = np.triu_indices(centers.shape[1])
        # Off the diagonal y_i y_j stands for two equal entries of y^T P y.
        halves = np.where(rows == columns, -0.5, -1.0)
        linear = jnp.einsum("kij,kj->ki", precision, centers)
        constant = -0.5 * jnp.sum(linear * centers, axis=1, keepdims=True)
        return (jnp.concatenate([halves * precision[:, rows, columns], linear, constant], axis=1),)

    def kernel(
        self, coefficients: tuple[Float[Array, "..."], ...], features: Float[Array, "N F"]
    ) -> Float[Array, "N K"]:
        (eta,) = coefficients
        return features @ eta.T

    def moments(
        self, features: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D"], Float[Array, "..."]]:
        sums = r.T @ features
        size = int(np.sqrt(2 * features.shape[1])) - 1  # F = (D + 1)(D + 2) / 2
        rows, columns = np.triu_indices(size)
        place = np.zeros((size, size), np.int32)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        return sums[:, -1], sums[:, len(rows) : -1], sums[:, place]

    def second(
        self, differences: Float[Array, "N K D"], r: Float[Array, "N K"]
    ) -> Float[Array, "..."]:
        return jnp.einsum("nki,nkj->kij", r[..., None] * differences, differences)

    def moved(
        self,
        second: Float[Array, "..."],
        count: Float[Array, " K"],
        first: Float[Array, "K D"],
        shift: Float[Array, "K D"],
    ) -> Float[Array, "..."]:
        cross = first[:, :, None] * shift[:, None, :]
        outer = shift[:, :, None] * shift[:, None, :]
        return second - cross - jnp.swapaxes(cross, 1, 2) + count[:, None, None] * outer

    def maximized(
        self, second: Float[Array, "..."], count: Float[Array, " K"], floor: CovarianceFloor
    ) -> Float[Array, "..."]:
        return factor_above(per_row(count, second), floor)

    def held(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"], least: Float[Array, " D"]
    ) -> Int[Array, " C"]:
        return directions_held(scale, least)


def factor_above(
    covariance: Float[Array, "*K D D"], floor: CovarianceFloor
) -> Float[Array, "*K D D"]:
    """Cholesky factors of the nearest covariances in likelihood that are no less than the floor."""
    above = jnp.linalg.cholesky(covariance - jnp.diag(floor.least))
    untouched = jnp.all(jnp.isfinite(above)) | ~jnp.all(floor.least > 0)
    deviations = jnp.sqrt(jnp.where(floor.least > 0, floor.least, 1.0))

    def raised() -> Float[Array, "*K D D"]:
        values, vectors = jnp.linalg.eigh(covariance / deviations / deviations[:, None])
        lengths = jnp.sqrt(jnp.maximum(values, 1.0))
        # Sigma = A^T A; its triangular factor from A itself, which keeps the digits of small values.
        root = lengths[..., None] * jnp.swapaxes(vectors, -1, -2) * deviations
        upper = jnp.linalg.qr(root, mode="r")
        signs = jnp.sign(jnp.diagonal(upper, axis1=-2, axis2=-1))
        return jnp.swapaxes(signs[..., None] * upper, -1, -2)

    eye = jnp.eye(covariance.shape[-1])
    return jax.lax.cond(
        untouched, lambda: jnp.linalg.cholesky(covariance + floor.added * eye), raised
    )


def directions_held(scale: Float[Array, "*K D D"], least: Float[Array, " D"]) -> Int[Array, "*K"]:
    """How many eigenvalues of F^(-1/2) Sigma F^(-1/2) are 1."""
    deviations = jnp.sqrt(jnp.where(least > 0, least, 1.0))
    values = jnp.linalg.svd(scale / deviations[:, None], compute_uv=False) ** 2
    return jnp.where(jnp.all(least > 0), jnp.sum(values <= HELD, axis=-1), 0)


def factor_inverse(scale: Float[Array, "*K D D"]) -> Float[Array, "*K D D"]:
    """The inverses of lower triangular factors."""
    eye = jnp.broadcast_to(jnp.eye(scale.shape[-1], dtype=scale.dtype), scale.shape)
    return solve_triangular(scale, eye, lower=True)
