"""Affine coupling of the channels of an image, by a convolutional network.

    z_a = x_a,   z_b = x_b exp(s(x_a)) + t(x_a),        log det = sum of s
    s = B tanh(r / B)

a and b are halves of the channels; s and t are what a small network of stride-1 convolutions makes of a.
The bound B on the log-scale keeps both directions within a factor exp(B).

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (2017), section 3.4.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection
from taut.transforms.images.conv_conditioner import ConvConditioner

__all__ = ["ConvCoupling", "bounded"]

_LARGEST_LOG_SCALE = 2.0  # a factor of 7.4 a layer; Real NVP learns the bound


class ConvCoupling(AbstractBijection):
    """Half of the channels of (H, W, C) moved and scaled by a network of the other half.

    Arguments:
        shape: (H, W, C), C at least 2.
        swap: False moves the last ceil(C/2) channels, True the first floor(C/2).
        width, depth: channels and residual blocks of the network.
        activation: name of the network's elementwise function.

    Raises:
        InputError: a single channel, which has no halves.
    """

    name: ClassVar[str] = "conv-coupling"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    swap: bool = eqx.field(static=True)
    network: ConvConditioner

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        swap: bool = False,
        width: int = 32,
        depth: int = 1,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        if shape[-1] < 2:
            raise InputError(
                "at least 2 channels to couple", f"the shape {shape}", "a squeeze before it",
                where="conv-coupling",
            )  # fmt: skip
        first, last = shape[-1] // 2, shape[-1] - shape[-1] // 2
        kept, moved = (last, first) if swap else (first, last)
        self.x_shape = self.z_shape = shape
        self.swap = swap
        self.network = ConvConditioner(
            kept, 2 * moved, width=width, depth=depth, activation=activation, key=key
        )

    def encode_and_log_det(
        self, x: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        kept, moved = self._halves(x)
        log_scale, shift = self._parameters(kept)
        return self._joined(kept, moved * jnp.exp(log_scale) + shift), jnp.sum(log_scale)

    def decode_and_log_det(
        self, z: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        kept, moved = self._halves(z)
        log_scale, shift = self._parameters(kept)
        return self._joined(kept, (moved - shift) * jnp.exp(-log_scale)), -jnp.sum(log_scale)

    def _parameters(
        self, kept: Float[Array, "H W k"]
    ) -> tuple[Float[Array, "H W m"], Float[Array, "H W m"]]:
        raw, shift = jnp.split(self.network(kept), 2, axis=-1)
        return bounded(raw), shift

    def _halves(self, value: Array) -> tuple[Array, Array]:
        """What is kept and what is moved."""
        first, last = jnp.split(value, [value.shape[-1] // 2], axis=-1)
        return (last, first) if self.swap else (first, last)

    def _joined(self, kept: Array, moved: Array) -> Array:
        return jnp.concatenate([moved, kept] if self.swap else [kept, moved], axis=-1)


def bounded(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """A log-scale within the bound, with slope 1 at zero."""
    return _LARGEST_LOG_SCALE * jnp.tanh(raw / _LARGEST_LOG_SCALE)
