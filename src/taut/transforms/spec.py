"""`make_layers`: bijections of a vector from a line such as `actnorm,lu,spline-coupling:8`.

A name, or a name and how many, separated by commas, the layer next to the data first. Layers that move
some dimensions given others get a fixed permutation between each two of them; a layer that mixes all
dimensions (`lu`, `reverse`) written there takes its place.

    direction     what a step of fitting needs              cheap then
    density       log p(x) at given x: a model of data      encode
    sampling      draws with their density: a posterior     decode

A layer whose cheap direction is the other one is turned round by `Inverse`, so that `maf` under
`sampling` is an inverse autoregressive flow.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
from jaxtyping import PRNGKeyArray

from taut.core import InputError, nearest
from taut.transforms.abstract import AbstractBijection
from taut.transforms.bijections import (
    ActNorm,
    Affine,
    AffineAutoregressive,
    AffineCoupling,
    Inverse,
    InverseAutoregressive,
    InvertibleLinear,
    Permute,
    Planar,
    Radial,
    SplineAutoregressive,
    SplineCoupling,
    Sylvester,
    reversal,
    reversed_riffle,
)

__all__ = ["SPEC_NAMES", "Direction", "check_layers", "make_layers"]

Direction = Literal["density", "sampling"]


class _Choices(NamedTuple):
    """What a maker is told."""

    dim: int
    condition_dim: int | None
    hidden: tuple[int, ...]
    activation: str
    bins: int
    box: float
    units: int | None
    key: PRNGKeyArray

    @property
    def network(self) -> dict:
        return {
            "hidden": self.hidden,
            "activation": self.activation,
            "condition_dim": self.condition_dim,
            "key": self.key,
        }

    @property
    def spline(self) -> dict:
        return {"bins": self.bins, "box": self.box, **self.network}


class _Kind(NamedTuple):
    """How a name is made and used.

    Attributes:
        make: one layer.
        cheap: its cheap direction; None where both are alike.
        partial: `halves` where half of the dimensions stay, `order` where they are taken in an order,
            None where all are treated alike.
        mixes: whether it stands in for a permutation.
    """

    make: Callable[[_Choices], AbstractBijection]
    cheap: Direction | None
    partial: Literal["halves", "order"] | None = None
    mixes: bool = False


_KINDS: dict[str, _Kind] = {
    "affine-coupling": _Kind(lambda c: AffineCoupling(c.dim, **c.network), "density", "halves"),
    "spline-coupling": _Kind(lambda c: SplineCoupling(c.dim, **c.spline), "density", "halves"),
    "maf": _Kind(lambda c: AffineAutoregressive(c.dim, **c.network), "density", "order"),
    "spline-maf": _Kind(lambda c: SplineAutoregressive(c.dim, **c.spline), "density", "order"),
    "iaf": _Kind(lambda c: InverseAutoregressive(c.dim, **c.network), "sampling", "order"),
    "planar": _Kind(lambda c: Planar(c.dim, condition_dim=c.condition_dim, key=c.key), "density"),
    "radial": _Kind(lambda c: Radial(c.dim, condition_dim=c.condition_dim, key=c.key), "density"),
    "sylvester": _Kind(
        lambda c: Sylvester(c.dim, units=c.units, condition_dim=c.condition_dim, key=c.key),
        "density",
    ),
    "affine": _Kind(lambda c: Affine((c.dim,), condition_dim=c.condition_dim), None),
    "actnorm": _Kind(lambda c: ActNorm((c.dim,)), None),
    "lu": _Kind(lambda c: InvertibleLinear(c.dim, key=c.key), "density", mixes=True),
    "reverse": _Kind(lambda c: Permute(reversal(c.dim)), None, mixes=True),
}

SPEC_NAMES: tuple[str, ...] = tuple(_KINDS)


def check_layers(spec: str, *, where: str = "layers") -> tuple[tuple[str, int], ...]:
    """The names of a specification and how many of each.

    Raises:
        InputError: an unknown name, or a number that is none.
    """
    return tuple(_parsed(part.strip(), where) for part in spec.split(","))


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
    names = [name for name, count in check_layers(spec, where=where) for _ in range(count)]
    if dim < 1:
        raise InputError("at least one dimension", f"{dim}", "data with a column", where=where)
    layers: list[AbstractBijection] = []
    unmixed, since = 0, None  # partial layers so far, and the last one that nothing mixed after
    for i, name in enumerate(names):
        kind, layer_key = _KINDS[name], jax.random.fold_in(key, i)
        choices = _Choices(
            dim, condition_dim, tuple(hidden), activation, bins, box, units, layer_key
        )
        if kind.partial and since and dim > 1:
            mix_choices = choices._replace(key=jax.random.fold_in(key, len(names) + i))
            layers.append(_mixing(kind, unmixed, between, direction, mix_choices))
        layers.append(_oriented(kind, direction, choices))
        if kind.partial:
            unmixed, since = unmixed + 1, name
        elif kind.mixes:
            since = None
    return tuple(layers)


def _oriented(kind: _Kind, direction: Direction, choices: _Choices) -> AbstractBijection:
    layer = kind.make(choices)
    return layer if kind.cheap in (None, direction) else Inverse(layer)


def _mixing(
    kind: _Kind, before: int, between: str, direction: Direction, choices: _Choices
) -> AbstractBijection:
    """A permutation that gives the next layer other dimensions to move, or a matrix."""
    if between == "lu":
        return _oriented(_KINDS["lu"], direction, choices)
    if kind.partial == "halves" and before % 2 == 0:
        return Permute(reversed_riffle(choices.dim))
    return Permute(reversal(choices.dim))


def _parsed(part: str, where: str) -> tuple[str, int]:
    name, colon, number = part.partition(":")
    if name not in _KINDS:
        raise InputError(
            f"layers among {', '.join(_KINDS)}", repr(name), nearest(name, _KINDS), where=where
        )
    if not colon:
        return name, 1
    if not number.isdecimal() or int(number) < 1:
        raise InputError(
            f"{name}:K with K layers, a whole number of at least 1", repr(part), f"{name}:8",
            where=where,
        )  # fmt: skip
    return name, int(number)
