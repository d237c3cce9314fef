"""`Affine`: a learned shift and scale of every dimension.

    z = (x - shift) exp(-log_scale),        log |det dz/dx| = -sum log_scale

Both may depend on a condition; the layer starts at the identity.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet
from taut.transforms.bijections.context_vector import ContextVector

__all__ = ["Affine"]


class Affine(AbstractBijection):
    """Elementwise.

    Attributes:
        x_shape, z_shape: one shape.
        parameters: shift, then log_scale, (2 * size,).
    """

    name: ClassVar[str] = "affine"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    parameters: ContextVector

    def __init__(self, shape: Shape, *, condition_dim: int | None = None):
        self.x_shape = self.z_shape = shape
        self.parameters = ContextVector(jnp.zeros(2 * math.prod(shape)), condition_dim)

    @property
    def condition_shape(self) -> Shape | None:
        return self.parameters.condition_shape

    def _shift_and_log_scale(self, condition: Array | None) -> tuple[Array, Array]:
        shift, log_scale = self.parameters(condition).reshape(2, *self.x_shape)
        return shift, log_scale

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        shift, log_scale = self._shift_and_log_scale(condition)
        return (x - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        shift, log_scale = self._shift_and_log_scale(condition)
        return z * jnp.exp(log_scale) + shift, jnp.sum(log_scale)
