"""Layers of images by name; an image without an axis of channels gets one."""

from collections.abc import Sequence

import jax

from taut.core import InputError, option
from taut.transforms.abstract import AbstractBijection, AbstractLayer, Shape
from taut.transforms.bijections import ActNorm, Reshape
from taut.transforms.images import InvertibleConv, conv_coupling
from taut.transforms.spec.entry import Site

__all__ = [
    "channelled",
    "conv_couplings",
    "glow",
    "image_shape",
    "invertible_conv",
]


def image_shape(shape: Shape, last: str | None, name: str) -> tuple[int, int, int]:
    """The shape of an image with an axis of channels, below the layer `name` and above `last`.

    Raises:
        InputError: what is there is no image.
    """
    if len(shape) == 2:
        return (*shape, 1)
    if len(shape) == 3:
        return shape
    gives = (
        f"the data, of shape {shape}" if last is None else f"{last}, which gives the shape {shape}"
    )
    raise InputError(
        f"images (H, W, C) below {name}", gives,
        f"{name} before layers of a vector, or {option('image_shape')} where rows are flat images",
        where="layers",
    )  # fmt: skip


def channelled(shape: Shape) -> tuple[AbstractBijection, ...]:
    """An axis of channels for an image without one."""
    return () if len(shape) == 3 else (Reshape(shape, (*shape, 1)),)


def invertible_conv(site: Site) -> Sequence[AbstractLayer]:
    """One invertible 1 x 1 convolution (Kingma and Dhariwal 2018, section 3.2)."""
    shape = image_shape(site.shape, site.last, "invertible-conv")
    return (*channelled(site.shape), InvertibleConv(shape, key=site.key))


def conv_couplings(site: Site) -> Sequence[AbstractLayer]:
    """Couplings by convolutions, each of which moves the channels that the one before left."""
    shape = image_shape(site.shape, site.last, "conv-coupling")
    keys = jax.random.split(site.key, site.number)
    layers = (
        conv_coupling(shape, swap=bool(i % 2), **site.options.conv, key=k)
        for i, k in enumerate(keys)
    )
    return (*channelled(site.shape), *layers)


def glow(site: Site) -> Sequence[AbstractLayer]:
    """Steps of actnorm, invertible convolution and coupling (Kingma and Dhariwal 2018, section 3)."""
    shape = image_shape(site.shape, site.last, "glow")
    layers: list[AbstractLayer] = list(channelled(site.shape))
    for key in jax.random.split(site.key, site.number):
        conv_key, coupling_key = jax.random.split(key)
        layers += [
            ActNorm(shape),
            InvertibleConv(shape, key=conv_key),
            conv_coupling(shape, **site.options.conv, key=coupling_key),
        ]
    return layers
