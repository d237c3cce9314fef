"""The small convolutional network inside image layers.

    h_0 = conv(x),   h_{l+1} = block(h_l),        outputs = conv(a(h_L))

Convolutions are 3 x 3 of stride 1; resolution is left to squeezes. Outputs start at a tenth of the usual
size, so that a layer starts near the identity while every weight has a gradient.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks import Convolution, ResidualBlock, activation

__all__ = ["ConvConditioner"]

_OUTPUT_START = 0.1


class ConvConditioner(eqx.Module):
    """From (H, W, in) to P numbers for each cell of (H, W, out).

    The channels of the last convolution are the first number of each cell, then the second, and so on.

    Attributes:
        input, output: first and last convolution.
        blocks: residual blocks of `width` channels.
        activation: name of the elementwise function a.
        num_outputs: P.
    """

    input: Convolution
    blocks: tuple[ResidualBlock, ...]
    output: Convolution
    activation: str = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_outputs: int,
        *,
        width: int = 32,
        depth: int = 1,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        first, last, *keys = jax.random.split(key, 2 + depth)
        self.input = Convolution(in_channels, width, key=first)
        self.blocks = tuple(ResidualBlock(width, activation=activation, key=k) for k in keys)
        self.output = Convolution(width, num_outputs * out_channels, factor=_OUTPUT_START, key=last)
        self.activation, self.num_outputs = activation, num_outputs

    def __call__(self, x: Float[Array, "H W i"]) -> Float[Array, "H W o P"]:
        h = self.input(x)
        for block in self.blocks:
            h = block(h)
        outputs = self.output(activation(self.activation)(h))
        return jnp.stack(jnp.split(outputs, self.num_outputs, axis=-1), axis=-1)
