"""Bijections of a vector by name: they may stand in posteriors, in priors and in models of data."""

from collections.abc import Callable
from typing import Any

from taut.transforms.bijections import (
    ActNorm,
    Affine,
    AffineTransformer,
    Autoregressive,
    GatedTransformer,
    InvertibleLinear,
    Permute,
    Planar,
    Radial,
    Sylvester,
    reversal,
    vector_coupling,
)
from taut.transforms.spec.entry import Entry

__all__ = ["VECTOR_LAYERS"]


def _layers(bijection: Callable[..., Any], **kind: Any) -> Entry:
    return Entry(bijection, number="K layers", **kind)


# Each is made of the size d, the options o and a key.
VECTOR_LAYERS: dict[str, Entry] = {
    "affine-coupling": _layers(
        lambda d, o, key: vector_coupling(d, AffineTransformer(), **o.network, key=key),
        cheap="density", partial="halves",
    ),
    "spline-coupling": _layers(
        lambda d, o, key: vector_coupling(d, o.spline, **o.network, key=key),
        cheap="density", partial="halves",
    ),
    "maf": _layers(
        lambda d, o, key: Autoregressive(d, AffineTransformer(), **o.network, key=key),
        cheap="density", partial="order",
    ),
    "spline-maf": _layers(
        lambda d, o, key: Autoregressive(d, o.spline, **o.network, key=key),
        cheap="density", partial="order",
    ),
    "iaf": _layers(
        lambda d, o, key: Autoregressive(
            d, GatedTransformer(), reads="latent", **o.network, key=key
        ),
        cheap="sampling", partial="order",
    ),
    "planar": _layers(
        lambda d, o, key: Planar(d, condition_dim=o.condition_dim, key=key), cheap="density"
    ),
    "radial": _layers(
        lambda d, o, key: Radial(d, condition_dim=o.condition_dim, key=key), cheap="density"
    ),
    "sylvester": _layers(
        lambda d, o, key: Sylvester(d, units=o.units, condition_dim=o.condition_dim, key=key),
        cheap="density",
    ),
    "affine": _layers(lambda d, o, key: Affine((d,), condition_dim=o.condition_dim)),
    "actnorm": _layers(lambda d, o, key: ActNorm((d,))),
    "lu": _layers(lambda d, o, key: InvertibleLinear(d, key=key), cheap="density", mixes=True),
    "reverse": _layers(lambda d, o, key: Permute(reversal(d)), mixes=True),
}  # fmt: skip
