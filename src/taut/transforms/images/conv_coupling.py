"""Coupling of the channels of an image, by a convolutional network.

    z_kept = x_kept,   z_moved = x_moved exp(s(x_kept)) + t(x_kept),        log det = sum of s

The parts are halves of the channels; s and t, or what another transformer takes, are what a small
network of stride-1 convolutions makes of the half that is kept.

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (2017), section 3.4.
"""

from jaxtyping import PRNGKeyArray

from taut.core import InputError
from taut.transforms.bijections.coupling import Coupling
from taut.transforms.bijections.transformers import AbstractTransformer, RealNVPTransformer
from taut.transforms.images.conv_conditioner import ConvConditioner

__all__ = ["conv_coupling"]


def conv_coupling(
    shape: tuple[int, int, int],
    transformer: AbstractTransformer | None = None,
    *,
    swap: bool = False,
    width: int = 32,
    depth: int = 1,
    activation: str = "gelu",
    key: PRNGKeyArray,
) -> Coupling:
    """Half of the channels of (H, W, C) moved, by a network of the other half.

    Arguments:
        shape: (H, W, C), C at least 2.
        transformer: what moves them; None for `RealNVPTransformer`.
        swap: False moves the last ceil(C/2) channels, True the first floor(C/2).
        width, depth: channels and residual blocks of the network.
        activation: name of the network's elementwise function.

    Raises:
        InputError: a single channel, which has no halves.
    """
    if shape[-1] < 2:
        raise InputError(
            "at least 2 channels to couple", f"the shape {shape}", "a squeeze before it",
            where="conv-coupling",
        )  # fmt: skip
    transformer = RealNVPTransformer() if transformer is None else transformer
    first, last = shape[-1] // 2, shape[-1] - shape[-1] // 2
    kept, moved = (last, first) if swap else (first, last)
    network = ConvConditioner(
        kept,
        moved,
        transformer.num_parameters,
        width=width,
        depth=depth,
        activation=activation,
        key=key,
    )
    return Coupling(shape, network, transformer, swap=swap)
