"""`Standardize`: the fixed shift and scale between the data's units and standard ones.

z = (x - shift) / scale,        log |det dz/dx| = -sum log scale
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet

__all__ = ["Standardize"]


class Standardize(AbstractBijection):
    """Elementwise, not learned: no gradient reaches the two arrays.

    Attributes:
        x_shape, z_shape: one shape.
        shift: what becomes zero, of the data's shape.
        scale: what becomes one, positive, of the same shape.
    """

    name: ClassVar[str] = "standardize"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    shift: Float[Array, "..."]
    scale: Float[Array, "..."]

    def __init__(self, shift: Float[Array, "..."], scale: Float[Array, "..."]):
        self.shift, self.scale = shift, scale
        self.x_shape = self.z_shape = shift.shape

    def __check_init__(self):
        if self.shift.shape != self.scale.shape:
            raise InputError(
                f"a scale of shape {self.shift.shape}, as the shift has",
                f"shape {self.scale.shape}", "broadcasting both to the data's shape",
                where="scale",
            )  # fmt: skip

    @property
    def _log_det(self) -> Float[Array, ""]:
        return -jnp.sum(jnp.log(stop_gradient(self.scale)))

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return (x - stop_gradient(self.shift)) / stop_gradient(self.scale), self._log_det

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return z * stop_gradient(self.scale) + stop_gradient(self.shift), -self._log_det
