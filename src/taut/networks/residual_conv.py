"""Residual convolutional encoder and decoder for images of any size.

    encoder   h_0 = x (padded with zeros to a multiple of 2^L)
              h_l = block(conv(space_to_depth(h_{l-1})))                    l = 1, ..., L
              features = a(h_L) (flattened) W + b

    decoder   g_L = z W + b (shaped as h_L)
              g_{l-1} = depth_to_space(conv(block(g_l)))                    l = L, ..., 2
              outputs = depth_to_space(conv(a(block(g_1)))) (cropped to the size of x) + c

h_l and g_l have 1/2^l of the resolution in each direction and widths[l-1] channels. Convolutions are
3 x 3 of stride 1; no layer works at full resolution, where most of the time would go. Nothing is
normalized over a batch, so that each row's numbers are its own.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks.activations import activation
from taut.networks.convolution import Convolution, ResidualBlock
from taut.networks.mlp import Linear
from taut.networks.space_to_depth import (
    depth_to_space,
    padded_size,
    padded_to_multiple,
    space_to_depth,
)

__all__ = ["ResidualConvDecoder", "ResidualConvEncoder"]


class ResidualConvEncoder(eqx.Module):
    """From an image to `out_size` features.

    Arguments:
        shape: (H, W) or (H, W, C) of the image.
        widths: channels at 1/2, 1/4, ... of the resolution; at least one.
        out_size: number of features.
        activation: name of the elementwise function.

    Attributes:
        convolutions, blocks: one of each per resolution, finest first.
        output: affine map to the features.
    """

    convolutions: tuple[Convolution, ...]
    blocks: tuple[ResidualBlock, ...]
    output: Linear
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int],
        out_size: int,
        *,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        height, width, channels = _coarsest(shape, len(widths))
        ins = (channels, *widths[:-1])
        *keys, output_key = jax.random.split(key, 2 * len(widths) + 1)
        self.convolutions = tuple(
            Convolution(4 * i, o, key=k) for i, o, k in zip(ins, widths, keys[::2], strict=True)
        )
        self.blocks = tuple(
            ResidualBlock(o, activation=activation, key=k)
            for o, k in zip(widths, keys[1::2], strict=True)
        )
        self.output = Linear(height * width * widths[-1], out_size, key=output_key)
        self.activation = activation

    def __call__(self, x: Float[Array, "H W *C"]) -> Float[Array, " out"]:
        """Arguments: x, one image. Returns: (out_size,)."""
        h = padded_to_multiple(x.reshape(*x.shape[:2], -1), 2 ** len(self.blocks))
        for convolution, block in zip(self.convolutions, self.blocks, strict=True):
            h = block(convolution(space_to_depth(h)))
        return self.output(activation(self.activation)(h).reshape(-1))


class ResidualConvDecoder(eqx.Module):
    """From z to the outputs of a likelihood for an image.

    Arguments:
        in_size: number of elements of z.
        widths: channels at 1/2, 1/4, ... of the resolution, as those of the encoder; at least one.
        num_outputs: outputs per cell.
        shape: (H, W) or (H, W, C) of the image.
        activation: name of the elementwise function.

    Attributes:
        input: affine map from z to the coarsest resolution.
        blocks, convolutions: one of each per resolution, coarsest first.
        bias: c, of every output, in their order.
    """

    input: Linear
    blocks: tuple[ResidualBlock, ...]
    convolutions: tuple[Convolution, ...]
    bias: Float[Array, " outputs"]
    num_outputs: int = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        widths: Sequence[int],
        num_outputs: int,
        shape: Sequence[int],
        *,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        height, width, channels = _coarsest(shape, len(widths))
        ins, outs = widths[::-1], (*widths[-2::-1], num_outputs * channels)
        input_key, *keys = jax.random.split(key, 2 * len(widths) + 1)
        self.input = Linear(in_size, height * width * ins[0], key=input_key)
        self.blocks = tuple(
            ResidualBlock(i, activation=activation, key=k)
            for i, k in zip(ins, keys[::2], strict=True)
        )
        self.convolutions = tuple(
            Convolution(i, 4 * o, key=k) for i, o, k in zip(ins, outs, keys[1::2], strict=True)
        )
        self.bias = jnp.zeros(num_outputs * math.prod(shape))
        self.num_outputs = num_outputs
        self.shape = tuple(shape)
        self.activation = activation

    def __call__(self, z: Float[Array, "..."]) -> Float[Array, " outputs"]:
        """Arguments: z, any shape with `in_size` elements.

        Returns:
            (num_outputs * H * W * C,), in the order of (num_outputs, *shape).
        """
        height, width, _ = _coarsest(self.shape, len(self.blocks))
        h = self.input(z.reshape(-1)).reshape(height, width, -1)
        last = self.convolutions[-1]
        for convolution, block in zip(self.convolutions, self.blocks, strict=True):
            h = block(h)
            h = activation(self.activation)(h) if convolution is last else h
            h = depth_to_space(convolution(h))
        image = h[: self.shape[0], : self.shape[1]]
        cells = image.reshape(*image.shape[:2], -1, self.num_outputs)
        return jnp.moveaxis(cells, -1, 0).reshape(-1) + self.bias

    def started_at(
        self, outputs: Float[Array, " outputs"], spread: Float[Array, " outputs"]
    ) -> "ResidualConvDecoder":
        """The network around `outputs`, where z = 0 stands; of each kind it leaves them by its mean
        `spread`."""
        last = self.convolutions[-1]
        kinds = jnp.mean(spread.reshape(self.num_outputs, -1), axis=1).astype(last.weight.dtype)
        weight = last.weight * jnp.tile(kinds, last.weight.shape[-1] // self.num_outputs)
        return eqx.tree_at(
            lambda network: (network.convolutions[-1].weight, network.bias),
            self, (weight, outputs.astype(self.bias.dtype)),
        )  # fmt: skip


def _coarsest(shape: Sequence[int], levels: int) -> tuple[int, int, int]:
    """Height and width at the coarsest resolution, and the channels of the image."""
    height, width = (padded_size(n, 2**levels) // 2**levels for n in shape[:2])
    return height, width, math.prod(shape[2:])
