"""`Logit`: data within bounds to the whole line.

    u = margin + (1 - 2 margin) (x - low) / (high - low),        z = log u - log(1 - u)
    log |det dz/dx| = sum [log(1 - 2 margin) - log(high - low) - log u - log(1 - u)]

With a margin the bounds themselves have finite z, and the support of x reaches beyond them by
margin / (1 - 2 margin) of their distance. Outside of the support the log-determinant is -inf.
Its `Inverse` squashes the line into bounds.

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (ICLR 2017), section 4.1.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet

__all__ = ["Logit"]


class Logit(AbstractBijection):
    """Elementwise.

    Attributes:
        x_shape, z_shape: one shape.
        low, high: bounds of x.
        margin: kept from 0 and from 1, in [0, 1/2).
    """

    name: ClassVar[str] = "logit"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    margin: float = eqx.field(static=True)

    def __init__(self, shape: Shape, low: float = 0.0, high: float = 1.0, *, margin: float = 1e-6):
        self.x_shape = self.z_shape = shape
        self.low, self.high, self.margin = low, high, margin

    def __check_init__(self):
        if not self.low < self.high:
            raise InputError(
                "a lower bound below the upper one", f"{self.low} and {self.high}",
                "exchanging them", where="logit",
            )  # fmt: skip
        if not 0 <= self.margin < 0.5:
            raise InputError("a margin in [0, 0.5)", f"{self.margin}", "0.05", where="margin")

    @property
    def _scale(self) -> float:
        return (1 - 2 * self.margin) / (self.high - self.low)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        u = self.margin + self._scale * (x - self.low)
        rest = self.margin + self._scale * (self.high - x)  # 1 - u without cancellation
        inside = (u > 0) & (rest > 0)
        log_u, log_rest = (jnp.log(jnp.where(inside, v, 0.5)) for v in (u, rest))
        log_slope = jnp.where(inside, math.log(self._scale) - log_u - log_rest, -jnp.inf)
        return log_u - log_rest, jnp.sum(log_slope)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        x = self.low + (jax.nn.sigmoid(z) - self.margin) / self._scale
        log_slope = jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z) - math.log(self._scale)
        return x, jnp.sum(log_slope)
