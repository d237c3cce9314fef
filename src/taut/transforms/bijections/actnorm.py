"""`ActNorm`: a shift and scale whose start makes a batch standard.

    z = (x + shift) exp(log_scale),        log |det dz/dx| = sum log_scale

The start is an explicit call, `started_at`, and not a side effect of a first pass: `started` walks a
chain with a batch and gives each of its ActNorms the batch that reaches it.

Source: Kingma and Dhariwal, Glow (NeurIPS 2018), section 3.1.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet
from taut.transforms.chain import Chain

__all__ = ["ActNorm", "started"]


class ActNorm(AbstractBijection):
    """Of every dimension of a vector, or of every channel of an image, which is its last axis.

    Attributes:
        x_shape, z_shape: one shape.
        shift: (C,), C the size of the last axis.
        log_scale: (C,).
    """

    name: ClassVar[str] = "actnorm"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    shift: Float[Array, " C"]
    log_scale: Float[Array, " C"]

    def __init__(self, shape: Shape):
        self.x_shape = self.z_shape = shape
        self.shift = jnp.zeros(shape[-1])
        self.log_scale = jnp.zeros(shape[-1])

    def started_at(self, x: Float[Array, "B ..."], *, key: PRNGKeyArray | None = None) -> "ActNorm":
        """The layer under which each channel of the batch x has mean 0 and standard deviation 1.

        A channel that is constant over the batch keeps its scale.

        Raises:
            InputError: rows of another shape, or fewer than two numbers a channel.
        """
        if x.shape[1:] != self.x_shape or x.size // self.x_shape[-1] < 2:
            raise InputError(
                f"at least two numbers a channel, in rows of shape {self.x_shape}",
                f"a batch of shape {x.shape}", "a larger batch of this layer's inputs",
                where="actnorm",
            )  # fmt: skip
        cells = x.reshape(-1, self.x_shape[-1])
        mean, deviation = cells.mean(axis=0), cells.std(axis=0)
        varies = deviation > jnp.finfo(x.dtype).eps * jnp.abs(mean)
        log_scale = -jnp.log(jnp.where(varies, deviation, 1.0))
        return eqx.tree_at(lambda la: (la.shift, la.log_scale), self, (-mean, log_scale))

    @property
    def _log_det(self) -> Float[Array, ""]:
        return math.prod(self.x_shape[:-1]) * jnp.sum(self.log_scale)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return (x + self.shift) * jnp.exp(self.log_scale), self._log_det

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return z * jnp.exp(-self.log_scale) - self.shift, -self._log_det


def started(
    chain: Chain, x: Float[Array, "B ..."], *, key: PRNGKeyArray, condition: Array | None = None
) -> Chain:
    """The chain with every layer in it started at the batch that reaches it.

    Arguments:
        x: a batch of data.
        key: for layers that draw their latents.
        condition: a batch of conditions, (B, h); None without.
    """
    layers = []
    for layer, layer_key in zip(
        chain.layers, jax.random.split(key, len(chain.layers)), strict=True
    ):
        start_key, layer_key = jax.random.split(layer_key)
        layer = layer.started_at(x, key=start_key)
        layers.append(layer)
        keys = jax.random.split(layer_key, x.shape[0])
        reads = None if layer.condition_shape is None else condition
        x = jax.vmap(lambda a, k, c, la=layer: la.encode(a, k, c).z)(x, keys, reads)
    return Chain(layers)
