"""One full covariance for all components.

The scatter is that of all rows whatever the responsibilities, and in whitened coordinates the kernel is
linear in x but for a term common to the components: the features are x - origin itself.
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.models.exact.covariances.abstract import AbstractCovariance, CovarianceFloor
from taut.models.exact.covariances.full import directions_held, factor_above, factor_inverse

__all__ = ["Tied"]


class Tied(AbstractCovariance):
    """`scale` is one Cholesky factor, (D, D)."""

    name: ClassVar[str] = "tied"
    correlated: ClassVar[bool] = True

    def shape(self, num_components: int, size: int) -> tuple[int, ...]:
        return (size, size)

    def num_parameters(self, num_components: int, size: int) -> int:
        return size * (size + 1) // 2

    def num_features(self, size: int) -> int:
        return size

    def isotropic(self, deviations: Float[Array, " D"], num_components: int) -> Float[Array, "..."]:
        return jnp.diag(deviations)

    def tril(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D D"]:
        return jnp.broadcast_to(scale, (centers.shape[0], *scale.shape))

    def variances(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.broadcast_to(jnp.sum(scale**2, axis=-1), centers.shape)

    def precisions(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.broadcast_to(jnp.sum(factor_inverse(scale) ** 2, axis=-2), centers.shape)

    def log_volume(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, " K"]:
        one = -jnp.sum(jnp.log(jnp.abs(jnp.diagonal(scale))))
        return jnp.broadcast_to(one, centers.shape[:1])

    def pivots(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        return jnp.diagonal(scale) ** 2 / self.variances(scale, centers)

    def inverse(self, scale: Float[Array, "..."]) -> Float[Array, "..."]:
        return factor_inverse(scale)

    def whitened(
        self, inverse: Float[Array, "..."], differences: Float[Array, "N K D"]
    ) -> Float[Array, "N K D"]:
        return differences @ inverse.T

    def features(self, y: Float[Array, "N D"]) -> Float[Array, "N F"]:
        return y

    def coefficients(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> tuple[Float[Array, "..."], ...]:
        inverse = factor_inverse(scale)
        return inverse, centers @ inverse.T

    def kernel(
        self, coefficients: tuple[Float[Array, "..."], ...], features: Float[Array, "N F"]
    ) -> Float[Array, "N K"]:
        inverse, v = coefficients
        u = features @ inverse.T
        lengths = jnp.sum(u**2, axis=1, keepdims=True) + jnp.sum(v**2, axis=1)
        return u @ v.T - 0.5 * lengths

    def moments(
        self, features: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D"], Float[Array, "..."]]:
        weight = jnp.sum(r, axis=1, keepdims=True)
        return jnp.sum(r, axis=0), r.T @ features, (weight * features).T @ features

    def second(
        self, differences: Float[Array, "N K D"], r: Float[Array, "N K"]
    ) -> Float[Array, "..."]:
        flat = differences.reshape(-1, differences.shape[-1])
        return (r.reshape(-1, 1) * flat).T @ flat

    def moved(
        self,
        second: Float[Array, "..."],
        count: Float[Array, " K"],
        first: Float[Array, "K D"],
        shift: Float[Array, "K D"],
    ) -> Float[Array, "..."]:
        cross = first.T @ shift
        return second - cross - cross.T + (count[:, None] * shift).T @ shift

    def maximized(
        self, second: Float[Array, "..."], count: Float[Array, " K"], floor: CovarianceFloor
    ) -> Float[Array, "..."]:
        return factor_above(second / jnp.sum(count), floor)

    def held(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"], least: Float[Array, " D"]
    ) -> Int[Array, " C"]:
        return directions_held(scale[None], least)
