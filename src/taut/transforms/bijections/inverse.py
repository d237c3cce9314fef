"""`Inverse`: a bijection the other way round.

    encode of the inverse = decode of the layer,        log |det| of either with it

It turns a layer whose cheap direction is that of the density into one that draws cheaply, and back: a
masked autoregressive layer into an inverse autoregressive one.

Source: Papamakarios et al., Masked autoregressive flow for density estimation (NeurIPS 2017),
section 3.4.
"""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array

from taut.transforms.abstract import AbstractBijection, Cost, Shape, WithLogDet

__all__ = ["Inverse"]


class Inverse(AbstractBijection):
    """The layer with its ends exchanged.

    Attributes:
        x_shape, z_shape: the layer's, exchanged.
        layer: a bijection.
    """

    name: ClassVar[str] = "inverse"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    layer: AbstractBijection

    def __init__(self, layer: AbstractBijection):
        self.layer = layer
        self.x_shape, self.z_shape = layer.z_shape, layer.x_shape

    @property
    def condition_shape(self) -> Shape | None:
        return self.layer.condition_shape

    @property
    def cost(self) -> Cost:
        return Cost(encode=self.layer.cost.decode, decode=self.layer.cost.encode)

    def at_rest(self) -> "Inverse":
        return Inverse(self.layer.at_rest())

    def encode_at_rest(self, x: Array) -> Array:
        return self.layer.decode_at_rest(x)

    def decode_at_rest(self, z: Array) -> Array:
        return self.layer.encode_at_rest(z)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return self.layer.decode_and_log_det(x, condition)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return self.layer.encode_and_log_det(z, condition)
