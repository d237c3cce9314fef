"""`Reshape`: the same numbers in another shape.

log |det dz/dx| = 0
"""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet

__all__ = ["Reshape"]


class Reshape(AbstractBijection):
    """Row-major order on both sides.

    Attributes:
        x_shape, z_shape: shapes with as many elements.
    """

    name: ClassVar[str] = "reshape"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)

    def __check_init__(self):
        if math.prod(self.x_shape) != math.prod(self.z_shape):
            raise InputError(
                f"a shape of {math.prod(self.x_shape)} elements, as {self.x_shape} has",
                f"{self.z_shape}", f"({math.prod(self.x_shape)},)", where="reshape",
            )  # fmt: skip

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return x.reshape(self.z_shape), jnp.zeros((), x.dtype)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return z.reshape(self.x_shape), jnp.zeros((), z.dtype)
