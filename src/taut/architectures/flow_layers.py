"""A chain of layers from a line such as `abs,affine-coupling:4` or `dequantize,logit,squeeze,glow:4`.

Layers are separated by commas, the one next to the data first; a number behind a colon is how many.
Bijections of a vector are those of `taut.transforms.make_layers`, which puts permutations between
couplings; what is not a vector when they come is flattened. The others:

    first         dequantize, dequantize-variational   x = floor(z): whole numbers    lower bound
                  generative-abs, generative-sort      x = |z|, x = sort(z)           exact if summed
    of any shape  abs, sort, slice:K                   z = |x|, sorted, K of them     exact
                  max-pool                             z = maxima of pairs, or 2 x 2  exact
                  logit                                z = logit of bounded x         exact
                  augment:K                            z = x and K more               lower bound
                  shuffle                              the order is drawn             exact if summed
                  vae:K                                z ~ q(z | x), K dimensions     lower bound
    of images     squeeze, invertible-conv, conv-coupling:K, glow:K                   exact
                  multi-scale                          half of the channels end here; exact
                                                       all after it see the rest

Where the first layer is none of the first group, real columns are standardised by the training rows
before it; layers whose support has a bound or whose cells must share a unit get a scale alone.
"""

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.flow_parts import (
    MAKERS,
    WHERE,
    WHOLE,
    FlowChoices,
    Made,
    Site,
    channelled,
    image_shape,
    levels_of,
    likelihood_of,
)
from taut.core import InputError, nearest
from taut.data import Schema
from taut.models import AbstractLikelihood
from taut.transforms import (
    SPEC_NAMES,
    AbstractLayer,
    ActNorm,
    Chain,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    MultiScale,
    Reshape,
    Standardize,
    make_layers,
)

__all__ = ["check_line", "first_layer", "make_chain"]

_READS_WHOLE = ("dequantize", "dequantize-variational", "vae")
_OWN_UNITS = ("generative-abs", "sort", "generative-sort", "shuffle")  # a shift would spoil them
_ALONE = ("multi-scale",)  # takes all that follows

Part = tuple[str, int | None]


def make_chain(line: str, schema: Schema, choices: FlowChoices, *, key: PRNGKeyArray) -> Chain:
    """The chain that a line stands for, with a vector at its latent end.

    Arguments:
        line: see the module.
        schema: of the rows.
        choices: networks and splines.
        key: of all parameters.

    Raises:
        InputError: unknown layers or numbers, layers that do not fit each other or the data.
    """
    parts = list(check_line(line))
    _check_support(parts, schema)
    made = Made(_units(parts[0][0], schema), schema.shape, None)
    made = _extended(made, parts, schema, choices, key)
    if len(made.shape) != 1:
        made = made.then(made.last or "", Reshape(made.shape, (math.prod(made.shape),)))
    return Chain(made.layers)


def check_line(line: str) -> tuple[Part, ...]:
    """Names and numbers of a line.

    Raises:
        InputError: an unknown name, a number that is none or that is missing.
    """
    return tuple(_parsed(part.strip()) for part in line.split(","))


def first_layer(line: str, schema: Schema) -> AbstractLayer | AbstractLikelihood | None:
    """What refuses rows outside the support of the first layer; None where all rows have one."""
    name = check_line(line)[0][0]
    shape = schema.shape
    if name in ("dequantize", "dequantize-variational"):
        return Dequantization(shape, levels=levels_of(schema))
    if name == "generative-abs":
        return GenerativeAbsoluteValue(shape)
    if name == "generative-sort":
        return GenerativeSorting(shape)
    if name == "vae" and schema.support in WHOLE:
        return likelihood_of(schema, shape)
    return None


def _extended(
    made: Made,
    parts: Sequence[Part],
    schema: Schema,
    choices: FlowChoices,
    key: PRNGKeyArray,
) -> Made:
    """All parts above what is made."""
    i = 0
    while i < len(parts):
        name, number = parts[i]
        own_key = jax.random.fold_in(key, i)
        if name == "multi-scale":
            return _split(made, parts[i + 1 :], schema, choices, own_key)
        if name in MAKERS:
            site = Site(made, number or 1, schema, choices, own_key)
            made = made.then(name, *MAKERS[name].make(site))
            i += 1
            if name.startswith("dequantize") and parts[i : i + 1] != [("logit", None)]:
                made = made.then(name, _from_levels(made.shape, levels_of(schema)))
            continue
        if name == "actnorm" and len(made.shape) == 3:
            made = made.then(name, *(ActNorm(made.shape) for _ in range(number or 1)))
            i += 1
            continue
        end = i + 1
        while end < len(parts) and parts[end][0] not in MAKERS and parts[end][0] != "multi-scale":
            end += 1
        made = _vector(made, parts[i:end], choices, own_key)
        i = end
    return made


def _vector(made: Made, parts: Sequence[Part], choices: FlowChoices, key: PRNGKeyArray) -> Made:
    """A run of bijections of a vector, flattened before them."""
    size = math.prod(made.shape)
    flat = () if len(made.shape) == 1 else (Reshape(made.shape, (size,)),)
    layers = make_layers(
        ",".join(f"{name}:{number or 1}" for name, number in parts),
        size,
        key=key,
        hidden=choices.hidden,
        activation=choices.activation,
        bins=choices.bins,
        box=choices.box,
        where=WHERE,
    )
    return made.then(parts[-1][0], *flat, *layers)


def _split(
    made: Made,
    parts: Sequence[Part],
    schema: Schema,
    choices: FlowChoices,
    key: PRNGKeyArray,
) -> Made:
    shape = image_shape(made, "multi-scale")
    inner = None
    if parts:
        half = (*shape[:2], shape[-1] // 2)
        above = _extended(Made((), half, "multi-scale"), parts, schema, choices, key)
        inner = Chain(above.layers)
    layer = MultiScale(shape, inner, **choices.conv, key=jax.random.fold_in(key, len(parts)))
    return made.then("multi-scale", *channelled(made), layer)


def _check_support(parts: Sequence[Part], schema: Schema) -> None:
    """Refuse a density of whole numbers, and dequantization that comes late."""
    first = parts[0][0]
    if schema.support in WHOLE and first not in _READS_WHOLE:
        line = ",".join(name if number is None else f"{name}:{number}" for name, number in parts)
        bounded = schema.support in ("binary", "grey") and first != "logit"
        before = "dequantize,logit," if bounded else "dequantize,"
        raise InputError(
            "layers that take whole numbers to reals first, where a density has no bound",
            f"'{first}' on {schema.support} data", f"--layers {before}{line}", where=WHERE,
        )  # fmt: skip
    for before, (name, _) in itertools.pairwise(parts):
        if name.startswith("dequantize"):
            raise InputError(
                f"{name} next to the data, whose whole numbers it takes",
                f"it after {before[0]}", "putting it first, or leaving it out", where=WHERE,
            )  # fmt: skip


def _from_levels(shape: tuple[int, ...], levels: int | None) -> AbstractLayer:
    """[0, L) to mean 0 and variance 1 under equal levels; without L a map that starts at the rows."""
    if levels is None:
        return ActNorm(shape)
    return Standardize(jnp.full(shape, levels / 2), jnp.full(shape, levels / math.sqrt(12)))


def _units(first: str, schema: Schema) -> tuple[AbstractLayer, ...]:
    """The fixed map from the data's units to those of the layers."""
    if schema.support in WHOLE or first.startswith("dequantize") or first == "logit":
        return ()
    if schema.support == "unit":
        return (
            Standardize(jnp.full(schema.shape, 0.5), jnp.full(schema.shape, 1 / math.sqrt(12))),
        )
    if schema.scale is None:
        return ()
    shift, scale = (np.broadcast_to(v, schema.shape) for v in schema.shift_scale())
    if first in _OWN_UNITS:
        shift, scale = np.zeros(schema.shape), np.hypot(shift, scale)
        if first != "generative-abs":
            scale = np.full(schema.shape, np.sqrt(np.mean(scale**2)))
    return (Standardize(jnp.asarray(shift, float), jnp.asarray(scale, float)),)


def _parsed(part: str) -> Part:
    name, colon, number = part.partition(":")
    known = (*SPEC_NAMES, *MAKERS, *_ALONE)
    if name not in known:
        raise InputError(
            f"layers among {', '.join(known)}", repr(name), nearest(name, known), where=WHERE
        )
    rule = MAKERS.get(name)
    meaning = "K layers" if name in SPEC_NAMES else rule and rule.number
    if not colon:
        if rule is not None and rule.needed:
            raise InputError(f"{name}:K with {meaning}", repr(part), f"{name}:16", where=WHERE)
        return name, None
    if meaning is None:
        raise InputError(f"{name} without a number", repr(part), name, where=WHERE)
    if not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise InputError(
            f"{name}:K with {meaning}, a whole number of at least 1", repr(part), f"{name}:4",
            where=WHERE,
        )  # fmt: skip
    return name, int(number)
