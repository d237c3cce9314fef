"""How each layer of a line is made that is no bijection of a vector; see `flow_layers`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from taut.core import InputError
from taut.data import Schema
from taut.models import AbstractLikelihood, choose_likelihood, make_likelihood
from taut.networks import MLP
from taut.transforms import (
    AbsoluteValue,
    AbstractBijection,
    AbstractLayer,
    ActNorm,
    Augmentation,
    ConditionalLogitNormal,
    ConditionalNormal,
    ConvCoupling,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    InvertibleConv,
    Logit,
    MaxPooling,
    Reshape,
    Slicing,
    Sorting,
    Squeeze,
    StochasticPermutation,
    VAELayer,
)

__all__ = [
    "MAKERS",
    "WHERE",
    "WHOLE",
    "FlowChoices",
    "LikelihoodDecoder",
    "Made",
    "Site",
    "channelled",
    "image_shape",
    "levels_of",
    "likelihood_of",
]

WHERE = "layers"
WHOLE = ("binary", "grey", "count", "categorical")  # supports of whole numbers, or names of them

_MARGIN = 0.05  # Dinh, Sohl-Dickstein and Bengio (2017), section 4.1: logits within 3 of zero

Shape = tuple[int, ...]


class FlowChoices(NamedTuple):
    """What layers with networks or splines are made of.

    Attributes:
        hidden: widths; of image layers the first is the channels and the number that of blocks.
        activation: elementwise function.
        bins, box: of splines.
    """

    hidden: tuple[int, ...]
    activation: str
    bins: int
    box: float

    def mlp(self, inputs: int, outputs: int, key: PRNGKeyArray) -> MLP:
        return MLP(inputs, self.hidden, outputs, activation=self.activation, key=key)

    @property
    def conv(self) -> dict[str, Any]:
        width = self.hidden[0] if self.hidden else 32
        return {
            "width": width,
            "depth": max(len(self.hidden), 1),
            "activation": self.activation,
        }


class LikelihoodDecoder(eqx.Module):
    """p(x | z) of a VAE layer: a network and a likelihood, cell by cell.

    Attributes:
        network: from z to the likelihood's outputs.
        likelihood: p(x | outputs).
        shape: of x.
    """

    network: Any
    likelihood: AbstractLikelihood
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


class Made(NamedTuple):
    """Layers so far, and what the next one must know of them.

    Attributes:
        layers: made.
        shape: what they give.
        last: name of the last one in the line; None at the start.
    """

    layers: tuple[AbstractLayer, ...]
    shape: Shape
    last: str | None

    def then(self, name: str, *layers: AbstractLayer) -> "Made":
        shape = layers[-1].z_shape if layers else self.shape
        return Made((*self.layers, *layers), shape, name)


class Site(NamedTuple):
    """Where a layer is made."""

    made: Made
    number: int
    schema: Schema
    choices: FlowChoices
    key: PRNGKeyArray

    @property
    def shape(self) -> Shape:
        return self.made.shape

    @property
    def size(self) -> int:
        return math.prod(self.made.shape)

    def conditional(self, inputs: int, shape: Shape) -> ConditionalNormal:
        """N(loc, scale^2) over `shape` given as many numbers."""
        return ConditionalNormal(
            self.choices.mlp(inputs, 2 * math.prod(shape), self.key), tuple(shape)
        )


class Maker(NamedTuple):
    """How a layer that is no bijection of a vector is made.

    Attributes:
        make: the layers of one or, where the number counts, of all.
        number: what a number behind the colon means; None where there is none.
        needed: whether it must be given.
    """

    make: Callable[[Site], Sequence[AbstractLayer]]
    number: str | None = None
    needed: bool = False


def levels_of(schema: Schema) -> int | None:
    """Number of values on the grid that cells are on; None where they are the whole numbers."""
    if schema.support == "binary":
        return 2
    return schema.levels if schema.support == "grey" else None


def likelihood_of(schema: Schema, shape: Shape) -> AbstractLikelihood:
    name, _ = choose_likelihood(kind=schema.kind, support=schema.support, levels=schema.levels)
    return make_likelihood(name, shape=shape, levels=schema.levels)


def _dequantize(site: Site) -> Sequence[AbstractLayer]:
    return (Dequantization(site.shape, levels=levels_of(site.schema)),)


def _dequantize_variational(site: Site) -> Sequence[AbstractLayer]:
    levels = levels_of(site.schema)
    network = site.choices.mlp(site.size, 2 * site.size, site.key)
    # The last weights near zero: the noise starts at one logit-normal for all data.
    network = eqx.tree_at(lambda n: n.layers[-1].weight, network, replace_fn=lambda w: 0.1 * w)
    noise = ConditionalLogitNormal(ScaledInput(network, levels and float(levels - 1)), site.shape)
    return (Dequantization(site.shape, noise, levels=levels),)


def _logit(site: Site) -> Sequence[AbstractLayer]:
    levels, last = levels_of(site.schema), site.made.last
    if last is None and site.schema.support == "unit":
        return (Logit(site.shape, margin=_MARGIN),)
    if last is not None and last.startswith("dequantize") and levels is not None:
        return (Logit(site.shape, 0.0, float(levels), margin=_MARGIN),)
    raise InputError(
        "logit on data in [0, 1], or after dequantize on grey levels: it needs bounds",
        f"it {'after ' + last if last else 'first'} on {site.schema.support} data",
        "leaving it out", where=WHERE,
    )  # fmt: skip


def _absolute_value(site: Site) -> Sequence[AbstractLayer]:
    return (AbsoluteValue(site.shape, site.choices.mlp(site.size, site.size, site.key)),)


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
    shape, whole = site.shape, site.made.last is None and site.schema.support in WHOLE
    likelihood = (
        likelihood_of(site.schema, shape) if whole else make_likelihood("gaussian", shape=shape)
    )
    encoder_key, decoder_key = jax.random.split(site.key)
    network: Any = site.choices.mlp(site.size, 2 * site.number, encoder_key)
    if site.schema.support == "count" and whole:
        network = ScaledInput(network, None)
    outputs = site.choices.mlp(site.number, likelihood.num_outputs * site.size, decoder_key)
    return (
        VAELayer(
            encoder=ConditionalNormal(network, (site.number,)),
            decoder=LikelihoodDecoder(outputs, likelihood, shape),
            x_shape=shape,
            z_shape=(site.number,),
        ),
    )


def _squeeze(site: Site) -> Sequence[AbstractLayer]:
    return (Squeeze(site.shape),)


def _invertible_conv(site: Site) -> Sequence[AbstractLayer]:
    shape = image_shape(site.made, "invertible-conv")
    return (*channelled(site.made), InvertibleConv(shape, key=site.key))


def _conv_couplings(site: Site) -> Sequence[AbstractLayer]:
    shape = image_shape(site.made, "conv-coupling")
    keys = jax.random.split(site.key, site.number)
    layers = (
        ConvCoupling(shape, swap=bool(i % 2), **site.choices.conv, key=k)
        for i, k in enumerate(keys)
    )
    return (*channelled(site.made), *layers)


def _glow(site: Site) -> Sequence[AbstractLayer]:
    """Steps of actnorm, invertible convolution and coupling (Kingma and Dhariwal 2018, section 3)."""
    shape = image_shape(site.made, "glow")
    layers: list[AbstractLayer] = list(channelled(site.made))
    for key in jax.random.split(site.key, site.number):
        conv_key, coupling_key = jax.random.split(key)
        layers += [
            ActNorm(shape),
            InvertibleConv(shape, key=conv_key),
            ConvCoupling(shape, **site.choices.conv, key=coupling_key),
        ]
    return layers


def image_shape(made: Made, name: str) -> tuple[int, int, int]:
    """The shape of an image with an axis of channels.

    Raises:
        InputError: what is there is no image.
    """
    if len(made.shape) == 2:
        return (*made.shape, 1)
    if len(made.shape) == 3:
        return made.shape
    gives = f"the data, of shape {made.shape}" if made.last is None else (
        f"{made.last}, which gives the shape {made.shape}"
    )  # fmt: skip
    raise InputError(
        f"images (H, W, C) below {name}", gives,
        f"{name} before layers of a vector, or --image-shape where rows are flat images",
        where=WHERE,
    )  # fmt: skip


def channelled(made: Made) -> tuple[AbstractBijection, ...]:
    """An axis of channels for an image without one."""
    return () if len(made.shape) == 3 else (Reshape(made.shape, (*made.shape, 1)),)


MAKERS: dict[str, Maker] = {
    "dequantize": Maker(_dequantize),
    "dequantize-variational": Maker(_dequantize_variational),
    "logit": Maker(_logit),
    "abs": Maker(_absolute_value),
    "generative-abs": Maker(lambda s: (GenerativeAbsoluteValue(s.shape),)),
    "sort": Maker(lambda s: (Sorting(s.shape),)),
    "generative-sort": Maker(lambda s: (GenerativeSorting(s.shape),)),
    "shuffle": Maker(lambda s: (StochasticPermutation(s.shape),)),
    "slice": Maker(_slice, "K that are kept of the last axis", needed=True),
    "augment": Maker(_augment, "K dimensions that are added", needed=True),
    "max-pool": Maker(_max_pool),
    "vae": Maker(_vae, "K latent dimensions", needed=True),
    "squeeze": Maker(_squeeze),
    "invertible-conv": Maker(_invertible_conv),
    "conv-coupling": Maker(_conv_couplings, "K layers"),
    "glow": Maker(_glow, "K steps"),
}
