"""Squeeze: resolution traded for channels.

    z[i, j, (s, t, c)] = x[2 i + s, 2 j + t, c],        log det = 0

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (2017), section 3.6.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import InputError, option
from taut.networks.space_to_depth import depth_to_space, space_to_depth
from taut.transforms.abstract import AbstractBijection, WithLogDet

__all__ = ["Squeeze"]


class Squeeze(AbstractBijection):
    """(H, W) or (H, W, C) to (H/2, W/2, 4 C).

    Raises:
        InputError: no image, or an odd size.
    """

    name: ClassVar[str] = "squeeze"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, x_shape: tuple[int, ...]):
        if len(x_shape) not in (2, 3):
            raise InputError(
                "images, (H, W) or (H, W, C), to squeeze", f"the shape {x_shape}",
                f"{option('image_shape')} where rows are flat images", where="squeeze",
            )  # fmt: skip
        height, width, *channels = x_shape
        if height % 2 or width % 2:
            raise InputError(
                "an even height and width to squeeze", f"{height} x {width}",
                "cropping or padding the images to an even size, or fewer squeezes", where="squeeze",
            )  # fmt: skip
        self.x_shape = x_shape
        self.z_shape = (height // 2, width // 2, 4 * (channels[0] if channels else 1))

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return space_to_depth(x.reshape(*x.shape[:2], -1)), jnp.zeros(())

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return depth_to_space(z).reshape(self.x_shape), jnp.zeros(())
