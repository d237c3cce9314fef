"""What a name in a line of layers stands for, and what its maker is told."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from jaxtyping import PRNGKeyArray

from taut.data import Schema
from taut.networks import MLP
from taut.transforms.abstract import AbstractBijection, AbstractLayer, Shape
from taut.transforms.bijections import SplineTransformer
from taut.transforms.conditional import ConditionalNormal

__all__ = ["Direction", "Entry", "LayerOptions", "Rows", "Site"]

Direction = Literal["density", "sampling"]


class LayerOptions(NamedTuple):
    """What layers with networks or splines are made of.

    Attributes:
        hidden: widths; of image layers the first is the channels and the number that of blocks.
        activation: elementwise function.
        bins, box: of splines, which are the identity outside of [-box, box].
        units: hidden units M of a Sylvester layer; None for min(D, 16).
        condition_dim: size of the condition that bijections of a vector read; None for none.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    bins: int = 8
    box: float = 5.0
    units: int | None = None
    condition_dim: int | None = None

    @property
    def network(self) -> dict[str, Any]:
        """Of a coupling or autoregressive layer of a vector."""
        return {
            "hidden": self.hidden,
            "activation": self.activation,
            "condition_dim": self.condition_dim,
        }

    @property
    def conv(self) -> dict[str, Any]:
        """Of the network of an image layer."""
        return {
            "width": self.hidden[0] if self.hidden else 32,
            "depth": max(len(self.hidden), 1),
            "activation": self.activation,
        }

    @property
    def spline(self) -> SplineTransformer:
        """Of a spline layer."""
        return SplineTransformer(self.bins, self.box)


class Rows(NamedTuple):
    """The data that a chain starts from.

    Attributes:
        schema: of the rows.
        likelihood: p(x | outputs) over a shape, given whether x is a row itself, in the data's own
            support, or a real number between two layers.
    """

    schema: Schema
    likelihood: Callable[[Shape, bool], Any]

    @property
    def whole(self) -> bool:
        """True for whole numbers, or names of them."""
        return self.schema.support in ("binary", "grey", "count", "categorical")

    @property
    def levels(self) -> int | None:
        """Number of values on the grid that cells are on; None where they are the whole numbers."""
        if self.schema.support == "binary":
            return 2
        return self.schema.levels if self.schema.support == "grey" else None


class Site(NamedTuple):
    """Where a layer is made.

    Attributes:
        shape: of its x.
        number: behind the colon; 1 where there is none.
        last: name before it in the line; None next to the data.
        rows: at the start of the chain.
        options: of networks and splines.
        key: of its parameters.
    """

    shape: Shape
    number: int
    last: str | None
    rows: Rows
    options: LayerOptions
    key: PRNGKeyArray

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def mlp(self, inputs: int, outputs: int, key: PRNGKeyArray | None = None) -> MLP:
        hidden, activation = self.options.hidden, self.options.activation
        key = self.key if key is None else key
        return MLP(inputs, hidden, outputs, activation=activation, key=key)

    def conditional(self, inputs: int, shape: Shape) -> ConditionalNormal:
        """N(loc, scale^2) over `shape` given as many numbers."""
        return ConditionalNormal(self.mlp(inputs, 2 * math.prod(shape)), tuple(shape))


class Entry(NamedTuple):
    """One name: a bijection of a vector or layers of data.

    Attributes:
        bijection: one layer, given the vector's size, the options and a key; None for layers of data.
        of_data: layers of data, all of them where the number counts; None for bijections of a vector.
        number: what a number behind the colon means; None where there is none.
        needed: whether it must be given.
        cheap: the direction that takes one pass; None where both do.
        partial: `halves` where half of the dimensions stay, `order` where they are taken in an order,
            None where all are treated alike.
        mixes: whether it stands in for a permutation.
    """

    bijection: Callable[[int, LayerOptions, PRNGKeyArray], AbstractBijection] | None = None
    of_data: Callable[[Site], Sequence[AbstractLayer]] | None = None
    number: str | None = None
    needed: bool = False
    cheap: Direction | None = None
    partial: Literal["halves", "order"] | None = None
    mixes: bool = False
