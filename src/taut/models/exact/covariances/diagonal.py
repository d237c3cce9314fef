"""Diagonal covariances: one variance per component and column.

The features are y^2 and y, 2 D numbers a row.
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.models.exact.covariances.abstract import HELD, AbstractCovariance, CovarianceFloor
from taut.models.exact.gaussian_statistics import per_row

__all__ = ["Diagonal"]


class Diagonal(AbstractCovariance):
    """`scale` is the standard deviations, (K, D)."""

    name: ClassVar[str] = "diag"
    correlated: ClassVar[bool] = False

    def shape(self, num_components: int, size: int) -> tuple[int, ...]:
        return (num_components, size)

    def num_parameters(self, num_components: int, size: int) -> int:
        return num_components * size

    def num_features(self, size: int) -> int:
        return 2 * size

    def isotropic(self, deviations: Float[Array, " D"], num_components: int) -> Float[Array, "..."]:
        return jnp.tile(deviations, (num_components, 1))

    def tril(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D D"]:
        return scale[:, :, None] * jnp.eye(scale.shape[1])

    def variances(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return scale**2

    def precisions(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return scale**-2

    def log_volume(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, " K"]:
        return -jnp.sum(jnp.log(jnp.abs(scale)), axis=1)

    def inverse(self, scale: Float[Array, "..."]) -> Float[Array, "..."]:
        return 1 / scale

    def whitened(
        self, inverse: Float[Array, "..."], differences: Float[Array, "N K D"]
    ) -> Float[Array, "N K D"]:
        return differences * inverse

    def features(self, y: Float[Array, "N D"]) -> Float[Array, "N F"]:
        return jnp.concatenate([y**2, y], axis=1)

    def coefficients(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> tuple[Float[Array, "..."], ...]:
        precision = scale**-2
        eta = jnp.concatenate([-0.5 * precision, precision * centers], axis=1)
        return eta, -0.5 * jnp.sum(precision * centers**2, axis=1)

    def kernel(
        self, coefficients: tuple[Float[Array, "..."], ...], features: Float[Array, "N F"]
    ) -> Float[Array, "N K"]:
        eta, constant = coefficients
        return features @ eta.T + constant

    def moments(
        self, features: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D"], Float[Array, "..."]]:
        second, first = jnp.split(r.T @ features, 2, axis=1)
        return jnp.sum(r, axis=0), first, second

    def second(
        self, differences: Float[Array, "N K D"], r: Float[Array, "N K"]
    ) -> Float[Array, "..."]:
        return jnp.einsum("nk,nkd->kd", r, differences**2)

    def of_squares(self, squares: Float[Array, "K D"]) -> Float[Array, "..."]:
        return squares

    def moved(
        self,
        second: Float[Array, "..."],
        count: Float[Array, " K"],
        first: Float[Array, "K D"],
        shift: Float[Array, "K D"],
    ) -> Float[Array, "..."]:
        return second - 2 * first * shift + count[:, None] * shift**2

    def maximized(
        self, second: Float[Array, "..."], count: Float[Array, " K"], floor: CovarianceFloor
    ) -> Float[Array, "..."]:
        variance = jnp.maximum(per_row(count, second), floor.least) + floor.added
        return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), jnp.nan)

    def held(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"], least: Float[Array, " D"]
    ) -> Int[Array, " C"]:
        return jnp.sum(scale**2 <= HELD * least, axis=1)
