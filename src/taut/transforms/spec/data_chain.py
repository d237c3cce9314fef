"""`make_chain`: a chain from rows of data to a vector, from a line such as `abs,affine-coupling:4`.

Bijections of a vector get permutations between couplings as in `make_layers`; what is no vector when
they come is flattened. Where the first layer takes no whole numbers, real columns that repeat values on
a grid get noise within its steps, and all are standardised by the training rows before it; layers whose
support has a bound or whose cells must share a unit get a scale alone.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import InputError, option
from taut.transforms.abstract import AbstractLayer, Shape
from taut.transforms.bijections import ActNorm, Reshape, Standardize
from taut.transforms.chain import Chain
from taut.transforms.images import MultiScale
from taut.transforms.spec.entry import LayerOptions, Rows, Site
from taut.transforms.spec.image_layers import channelled, image_shape
from taut.transforms.spec.line import LAYER_NAMES, SPEC_NAMES, Part, check_layers
from taut.transforms.spec.vector_chain import of_vector
from taut.transforms.surjections import (
    ColumnDequantization,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
)

__all__ = ["first_layer", "make_chain"]

_READS_WHOLE = ("dequantize", "dequantize-variational", "vae")
_OWN_UNITS = ("generative-abs", "sort", "generative-sort", "shuffle")  # a shift would spoil them


class _Made(NamedTuple):
    """Layers so far, the shape that they give, and the name of the last one in the line."""

    layers: tuple[AbstractLayer, ...]
    shape: Shape
    last: str | None

    def then(self, name: str, *layers: AbstractLayer) -> "_Made":
        shape = layers[-1].z_shape if layers else self.shape
        return _Made((*self.layers, *layers), shape, name)


def make_chain(line: str, rows: Rows, options: LayerOptions, *, key: PRNGKeyArray) -> Chain:
    """The chain that a line stands for, with a vector at its latent end.

    Arguments:
        line: see `taut.transforms.spec.line`.
        rows: what they are.
        options: of networks and splines.
        key: of all parameters.

    Raises:
        InputError: unknown layers or numbers, layers that do not fit each other or the data.
    """
    parts = check_layers(line, of_data=True)
    _check_support(line, parts, rows)
    made = _Made(_noise(parts[0][0], rows) + _units(parts[0][0], rows), rows.schema.shape, None)
    made = _extended(made, parts, rows, options, key)
    if len(made.shape) != 1:
        made = made.then(made.last or "", Reshape(made.shape, (math.prod(made.shape),)))
    return Chain(made.layers)


def first_layer(line: str, rows: Rows) -> Any:
    """What refuses rows outside the support of the first layer; None where all rows have one."""
    name, shape = check_layers(line, of_data=True)[0][0], rows.schema.shape
    if name.startswith("dequantize"):
        return Dequantization(shape, levels=rows.levels)
    if name == "generative-abs":
        return GenerativeAbsoluteValue(shape)
    if name == "generative-sort":
        return GenerativeSorting(shape)
    if noise := _noise(name, rows):
        return noise[0]
    return rows.likelihood(shape, True) if name == "vae" and rows.whole else None


def _extended(
    made: _Made, parts: Sequence[Part], rows: Rows, options: LayerOptions, key: PRNGKeyArray
) -> _Made:
    """All parts above what is made."""
    keys = jax.random.split(key, len(parts) + 1)  # the last one of a split, whose parts come first
    i = 0
    while i < len(parts):
        (name, number), following = parts[i], [other for other, _ in parts[i + 1 :]]
        make = LAYER_NAMES[name].of_data
        if name == "multi-scale":
            return _split(made, parts[i + 1 :], rows, options, keys[i])
        if make is not None:
            site = Site(made.shape, number, made.last, rows, options, keys[i])
            made = made.then(name, *make(site))
            if name.startswith("dequantize") and following[:1] != ["logit"]:
                made = made.then(name, _from_levels(made.shape, rows.levels))
            i += 1
        elif name == "actnorm" and len(made.shape) == 3:
            made = made.then(name, *(ActNorm(made.shape) for _ in range(number)))
            i += 1
        else:
            run = [parts[i], *itertools.takewhile(lambda p: p[0] in SPEC_NAMES, parts[i + 1 :])]
            size = math.prod(made.shape)
            flat = () if len(made.shape) == 1 else (Reshape(made.shape, (size,)),)
            made = made.then(run[-1][0], *flat, *of_vector(run, size, options, key=keys[i]))
            i += len(run)
    return made


def _split(
    made: _Made, parts: Sequence[Part], rows: Rows, options: LayerOptions, key: PRNGKeyArray
) -> _Made:
    shape = image_shape(made.shape, made.last, "multi-scale")
    inner = None
    if parts:
        half = (*shape[:2], shape[-1] // 2)
        inner = Chain(_extended(_Made((), half, "multi-scale"), parts, rows, options, key).layers)
    own_key = jax.random.split(key, len(parts) + 1)[-1]
    layer = MultiScale(shape, inner, **options.conv, key=own_key)
    return made.then("multi-scale", *channelled(made.shape), layer)


def _check_support(line: str, parts: Sequence[Part], rows: Rows) -> None:
    """Refuse a density of whole numbers, and dequantization that comes late."""
    first, support = parts[0][0], rows.schema.support
    if rows.whole and first not in _READS_WHOLE:
        bounded = support in ("binary", "grey") and first != "logit"
        before = "dequantize,logit," if bounded else "dequantize,"
        raise InputError(
            "a first layer that makes reals of whole numbers, at which a density has no upper bound",
            f"'{first}' on {support} data", option("layers", f"{before}{line}"), where="layers",
        )  # fmt: skip
    for (before, _), (name, _) in itertools.pairwise(parts):
        if name.startswith("dequantize"):
            raise InputError(
                f"{name} next to the data, whose whole numbers it takes",
                f"it after {before}", "putting it first, or leaving it out", where="layers",
            )  # fmt: skip


def _from_levels(shape: Shape, levels: int | None) -> AbstractLayer:
    """[0, L) to mean 0 and variance 1 under equal levels; without L a map that starts at the rows."""
    if levels is None:
        return ActNorm(shape)
    return Standardize(jnp.full(shape, levels / 2), jnp.full(shape, levels / math.sqrt(12)))


def _noise(first: str, rows: Rows) -> tuple[AbstractLayer, ...]:
    """Noise in the columns of a real table that repeat values, at which a density has no upper bound."""
    schema = rows.schema
    if not schema.gridded or first.startswith("dequantize") or first in _OWN_UNITS:
        return ()
    assert schema.steps is not None
    assert schema.origins is not None
    return (ColumnDequantization(schema.steps, schema.origins),)


def _units(first: str, rows: Rows) -> tuple[AbstractLayer, ...]:
    """The fixed map from the data's units to those of the layers."""
    schema = rows.schema
    if rows.whole or first.startswith("dequantize") or first == "logit":
        return ()
    if schema.support == "unit":
        return (
            Standardize(jnp.full(schema.shape, 0.5), jnp.full(schema.shape, 1 / math.sqrt(12))),
        )
    if schema.scale is None:
        return ()
    shift, scale = (np.broadcast_to(v, schema.shape) for v in schema.shift_scale())
    if _noise(first, rows):  # which moves the mean by half a step and adds s^2 / 12 to the variance
        steps = np.asarray(schema.steps)
        shift, scale = shift + steps / 2, np.sqrt(scale**2 + steps**2 / 12)
    if first in _OWN_UNITS:
        shift, scale = np.zeros(schema.shape), np.hypot(shift, scale)
        if first != "generative-abs":
            scale = np.full(schema.shape, np.sqrt(np.mean(scale**2)))
    return (Standardize(jnp.asarray(shift, float), jnp.asarray(scale, float)),)
