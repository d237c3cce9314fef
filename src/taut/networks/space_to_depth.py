"""Resolution and channels traded for one another, without loss.

    y[i, j, (s, t, c)] = x[2 i + s, 2 j + t, c],        s, t in {0, 1}

Halving the resolution by this and a convolution of stride 1 does the work of a strided convolution,
doubling it by the inverse that of a transposed one, at the speed of a product of matrices (see
`taut.networks.convolution`).

Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network (CVPR 2016), equation 4.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["depth_to_space", "padded_size", "padded_to_multiple", "space_to_depth"]


def space_to_depth(x: Float[Array, "H W c"]) -> Float[Array, "H2 W2 c4"]:
    """Half the resolution, four times the channels; H and W are even."""
    height, width, channels = x.shape
    blocks = x.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(height // 2, width // 2, 4 * channels)


def depth_to_space(x: Float[Array, "H W c4"]) -> Float[Array, "H2 W2 c"]:
    """The inverse of `space_to_depth`."""
    height, width, channels = x.shape
    blocks = x.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * height, 2 * width, channels // 4)


def padded_size(size: int, multiple: int) -> int:
    """The least multiple of `multiple` that is at least `size`."""
    return -(-size // multiple) * multiple


def padded_to_multiple(x: Float[Array, "H W c"], multiple: int) -> Float[Array, "H2 W2 c"]:
    """Zeros below and to the right, up to a multiple in both directions."""
    below, right = (padded_size(n, multiple) - n for n in x.shape[:2])
    return jnp.pad(x, ((0, below), (0, right), (0, 0)))
