"""Layers of data by name: they stand in models of data (`--model flow`) alone."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import InputError
from taut.transforms.abstract import AbstractLayer, Shape
from taut.transforms.bijections import Logit
from taut.transforms.conditional import ConditionalNormal
from taut.transforms.images import Squeeze
from taut.transforms.spec.entry import Entry, Site
from taut.transforms.spec.image_layers import conv_couplings, glow, invertible_conv
from taut.transforms.stochastic import StochasticPermutation, VAELayer
from taut.transforms.surjections import (
    AbsoluteValue,
    Augmentation,
    ConditionalLogitNormal,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    MaxPooling,
    Slicing,
    Sorting,
)

__all__ = ["DATA_LAYERS", "LikelihoodDecoder", "ScaledInput"]

_MARGIN = 0.05  # Dinh, Sohl-Dickstein and Bengio (2017), section 4.1: logits within 3 of zero


class LikelihoodDecoder(eqx.Module):
    """p(x | z) of a VAE layer: a network and a likelihood, cell by cell.

    Attributes:
        network: from z to the likelihood's outputs.
        likelihood: p(x | outputs).
        shape: of x.
    """

    network: Any
    likelihood: Any
    shape: Shape = eqx.field(static=True)

    def __call__(self, z: Array) -> Any:
        outputs = self.network(z).reshape(self.likelihood.num_outputs, *self.shape)
        return self.likelihood(outputs).to_event(len(self.shape))


class ScaledInput(eqx.Module):
    """A network of log(1 + x), or of x / scale - 1/2 where the scale of x is known."""

    network: Any
    scale: float | None = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        read = jnp.sign(x) * jnp.log1p(jnp.abs(x)) if self.scale is None else x / self.scale - 0.5
        return self.network(read)


def _dequantize(site: Site) -> Sequence[AbstractLayer]:
    return (Dequantization(site.shape, levels=site.rows.levels),)


def _dequantize_variational(site: Site) -> Sequence[AbstractLayer]:
    levels = site.rows.levels
    network = site.mlp(site.size, 2 * site.size)
    # The last weights near zero: the noise starts at one logit-normal for all data.
    network = eqx.tree_at(lambda n: n.layers[-1].weight, network, replace_fn=lambda w: 0.1 * w)
    noise = ConditionalLogitNormal(ScaledInput(network, levels and float(levels - 1)), site.shape)
    return (Dequantization(site.shape, noise, levels=levels),)


def _logit(site: Site) -> Sequence[AbstractLayer]:
    levels, last, support = site.rows.levels, site.last, site.rows.schema.support
    if last is None and support == "unit":
        return (Logit(site.shape, margin=_MARGIN),)
    if last is not None and last.startswith("dequantize") and levels is not None:
        return (Logit(site.shape, 0.0, float(levels), margin=_MARGIN),)
    raise InputError(
        "logit on data in [0, 1], or after dequantize on grey levels: it needs bounds",
        f"it {'after ' + last if last else 'first'} on {support} data",
        "leaving it out", where="layers",
    )  # fmt: skip


def _absolute_value(site: Site) -> Sequence[AbstractLayer]:
    return (AbsoluteValue(site.shape, site.mlp(site.size, site.size)),)


def _slice(site: Site) -> Sequence[AbstractLayer]:
    *lead, last = site.shape
    rest = (*lead, last - site.number)
    if not 1 <= site.number < last:
        return (Slicing(site.shape, site.number, None),)  # refuses
    kept = math.prod(lead) * site.number
    return (Slicing(site.shape, site.number, site.conditional(kept, rest)),)


def _augment(site: Site) -> Sequence[AbstractLayer]:
    extra = site.conditional(site.size, (*site.shape[:-1], site.number))
    return (Augmentation(site.shape, site.number, extra),)


def _max_pool(site: Site) -> Sequence[AbstractLayer]:
    window = (2, 2, 1)[: len(site.shape)] if len(site.shape) > 1 else (2,)
    return (MaxPooling(site.shape, window),)


def _vae(site: Site) -> Sequence[AbstractLayer]:
    whole = site.last is None and site.rows.whole
    likelihood = site.rows.likelihood(site.shape, whole)
    encoder_key, decoder_key = jax.random.split(site.key)
    network: Any = site.mlp(site.size, 2 * site.number, encoder_key)
    if site.rows.schema.support == "count" and whole:
        network = ScaledInput(network, None)
    outputs = site.mlp(site.number, likelihood.num_outputs * site.size, decoder_key)
    return (
        VAELayer(
            encoder=ConditionalNormal(network, (site.number,)),
            decoder=LikelihoodDecoder(outputs, likelihood, site.shape),
            x_shape=site.shape,
            z_shape=(site.number,),
        ),
    )


DATA_LAYERS: dict[str, Entry] = {
    "dequantize": Entry(of_data=_dequantize),
    "dequantize-variational": Entry(of_data=_dequantize_variational),
    "logit": Entry(of_data=_logit),
    "abs": Entry(of_data=_absolute_value),
    "generative-abs": Entry(of_data=lambda s: (GenerativeAbsoluteValue(s.shape),)),
    "sort": Entry(of_data=lambda s: (Sorting(s.shape),)),
    "generative-sort": Entry(of_data=lambda s: (GenerativeSorting(s.shape),)),
    "shuffle": Entry(of_data=lambda s: (StochasticPermutation(s.shape),)),
    "slice": Entry(of_data=_slice, number="K that are kept of the last axis", needed=True),
    "augment": Entry(of_data=_augment, number="K dimensions that are added", needed=True),
    "max-pool": Entry(of_data=_max_pool),
    "vae": Entry(of_data=_vae, number="K latent dimensions", needed=True),
    "squeeze": Entry(of_data=lambda s: (Squeeze(s.shape),)),
    "invertible-conv": Entry(of_data=invertible_conv),
    "conv-coupling": Entry(of_data=conv_couplings, number="K layers"),
    "glow": Entry(of_data=glow, number="K steps"),
    "multi-scale": Entry(),  # takes all that follows; made by `make_chain`
}
