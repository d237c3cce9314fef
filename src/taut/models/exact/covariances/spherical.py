"""Spherical covariances: one variance per component.

The features are |y|^2 and y, D + 1 numbers a row.
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.models.exact.covariances.abstract import HELD, AbstractCovariance, CovarianceFloor
from taut.models.exact.gaussian_statistics import per_row

__all__ = ["Spherical"]


class Spherical(AbstractCovariance):
    """`scale` is the standard deviations, (K,)."""

    name: ClassVar[str] = "spherical"
    correlated: ClassVar[bool] = False

    def shape(self, num_components: int, size: int) -> tuple[int, ...]:
        return (num_components,)

    def num_parameters(self, num_components: int, size: int) -> int:
        return num_components

    def num_features(self, size: int) -> int:
        return size + 1

    def isotropic(self, deviations: Float[Array, " D"], num_components: int) -> Float[Array, "..."]:
        return jnp.full(num_components, jnp.sqrt(jnp.mean(deviations**2)))

    def tril(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D D"]:
        return scale[:, None, None] * jnp.eye(centers.shape[1])

    def variances(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.broadcast_to(scale[:, None] ** 2, centers.shape)

    def precisions(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.broadcast_to(scale[:, None] ** -2, centers.shape)

    def log_volume(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, " K"]:
        return -centers.shape[1] * jnp.log(jnp.abs(scale))

    def inverse(self, scale: Float[Array, "..."]) -> Float[Array, "..."]:
        return 1 / scale

    def whitened(
        self, inverse: Float[Array, "..."], differences: Float[Array, "N K D"]
    ) -> Float[Array, "N K D"]:
        return differences * inverse[:, None]

    def features(self, y: Float[Array, "N D"]) -> Float[Array, "N F"]:
        return jnp.concatenate([jnp.sum(y**2, axis=1, keepdims=True), y], axis=1)

    def coefficients(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> tuple[Float[Array, "..."], ...]:
        precision = scale[:, None] ** -2
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
        sums = r.T @ features
        return jnp.sum(r, axis=0), sums[:, 1:], sums[:, 0]

    def second(
        self, differences: Float[Array, "N K D"], r: Float[Array, "N K"]
    ) -> Float[Array, "..."]:
        return jnp.einsum("nk,nkd->k", r, differences**2)

    def of_squares(self, squares: Float[Array, "K D"]) -> Float[Array, "..."]:
        return jnp.sum(squares, axis=1)

    def moved(
        self,
        second: Float[Array, "..."],
        count: Float[Array, " K"],
        first: Float[Array, "K D"],
        shift: Float[Array, "K D"],
    ) -> Float[Array, "..."]:
        return second - 2 * jnp.sum(first * shift, axis=1) + count * jnp.sum(shift**2, axis=1)

    def maximized(
        self, second: Float[Array, "..."], count: Float[Array, " K"], floor: CovarianceFloor
    ) -> Float[Array, "..."]:
        size = floor.least.shape[0]
        variance = per_row(count, second) / size
        variance = jnp.maximum(variance, jnp.mean(floor.least)) + floor.added
        return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), jnp.nan)

    def held(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"], least: Float[Array, " D"]
    ) -> Int[Array, " C"]:
        return jnp.where(scale**2 <= HELD * jnp.mean(least), least.shape[0], 0)
