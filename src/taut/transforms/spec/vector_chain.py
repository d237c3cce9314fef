"""`make_layers`: bijections of a vector from a line such as `actnorm,lu,spline-coupling:8`.

Layers that move some dimensions given others get a fixed permutation between each two of them; a layer
that mixes all dimensions (`lu`, `reverse`) written there takes its place.

    direction     what a step of fitting needs              cheap then
    density       log p(x) at given x: a model of data      encode
    sampling      draws with their density: a posterior     decode

A layer whose cheap direction is the other one is turned round by `Inverse`, so that `maf` under
`sampling` is an inverse autoregressive flow.
"""

from collections.abc import Sequence
from typing import Literal

import jax
from jaxtyping import PRNGKeyArray

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection
from taut.transforms.bijections import Inverse, Permute, reversal, reversed_riffle
from taut.transforms.spec.entry import Direction, Entry, LayerOptions
from taut.transforms.spec.line import Part, check_layers
from taut.transforms.spec.vector_layers import VECTOR_LAYERS

__all__ = ["make_layers", "of_vector"]


def make_layers(
    spec: str,
    dim: int,
    *,
    key: PRNGKeyArray,
    condition_dim: int | None = None,
    direction: Direction = "density",
    between: Literal["permutation", "lu"] = "permutation",
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    bins: int = 8,
    box: float = 5.0,
    units: int | None = None,
    where: str = "layers",
) -> tuple[AbstractBijection, ...]:
    """The layers of a specification, the one next to the data first.

    Arguments:
        spec: for instance `spline-coupling:8`, `maf:5`, `actnorm,lu,affine-coupling:4`.
        dim: number of dimensions D of x and of z.
        condition_dim: size of the condition that the layers read; None for none. `actnorm`, `lu` and
            `reverse` read none.
        direction: the one to be cheap.
        between: what is put between two layers that move some dimensions given others.
        hidden, activation: of the networks of coupling and autoregressive layers.
        bins, box: of splines, which are the identity outside of [-box, box].
        units: hidden units M of a Sylvester layer; None for min(D, 16).

    Raises:
        InputError: an unknown name, a number that is none, or sizes that a layer refuses.
    """
    parts = check_layers(spec, where=where)
    if dim < 1:
        raise InputError("at least one dimension", f"{dim}", "data with a column", where=where)
    options = LayerOptions(tuple(hidden), activation, bins, box, units, condition_dim)
    return of_vector(parts, dim, options, key=key, direction=direction, between=between)


def of_vector(
    parts: Sequence[Part],
    dim: int,
    options: LayerOptions,
    *,
    key: PRNGKeyArray,
    direction: Direction = "density",
    between: Literal["permutation", "lu"] = "permutation",
) -> tuple[AbstractBijection, ...]:
    """What `make_layers` makes, of names and numbers that `check_layers` has read."""
    names = [name for name, count in parts for _ in range(count)]
    keys = jax.random.split(key, 2 * len(names))  # of the layers, then of what stands between them
    layers: list[AbstractBijection] = []
    unmixed, since = 0, False  # partial layers so far, and whether nothing mixed after the last one
    for i, name in enumerate(names):
        entry = VECTOR_LAYERS[name]
        if entry.partial and since and dim > 1:
            if between == "lu":
                mixing = _oriented("lu", dim, options, direction, keys[len(names) + i])
            else:
                mixing = Permute(_order(entry, unmixed, dim))
            layers.append(mixing)
        layers.append(_oriented(name, dim, options, direction, keys[i]))
        unmixed += entry.partial is not None
        since = entry.partial is not None or (since and not entry.mixes)
    return tuple(layers)


def _oriented(
    name: str, dim: int, options: LayerOptions, direction: Direction, key: PRNGKeyArray
) -> AbstractBijection:
    entry = VECTOR_LAYERS[name]
    assert entry.bijection is not None
    layer = entry.bijection(dim, options, key)
    return layer if entry.cheap in (None, direction) else Inverse(layer)


def _order(entry: Entry, before: int, dim: int) -> tuple[int, ...]:
    """That gives the next layer other dimensions to move."""
    halves = entry.partial == "halves" and before % 2 == 0
    return reversed_riffle(dim) if halves else reversal(dim)
