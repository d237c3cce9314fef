"""The registry of networks: a name stands for the pair of an encoder and a decoder.

    encoder    maps x to `out_size` features
    decoder    maps z to `num_outputs` numbers for each cell of x, in the order (num_outputs, *shape)

The widths are those of the encoder, from x to z; the decoder mirrors them.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import PRNGKeyArray

from taut.core import InputError, counted, option
from taut.networks.gated_mlp import GatedMLP
from taut.networks.mlp import MLP
from taut.networks.residual_conv import ResidualConvDecoder, ResidualConvEncoder

__all__ = ["NETWORKS", "AbstractNetwork", "last_layer"]

Widths = tuple[int, ...]
Shape = tuple[int, ...]

_CHANNELS = (32, 64)


class AbstractNetwork:
    """How to make the two networks of a name.

    Attributes:
        activation: elementwise function where none is asked for; None where none can be chosen.
    """

    activation: str | None

    @abstractmethod
    def widths(self, shape: Shape, asked: Widths | None) -> Widths:
        """The widths for rows of this shape, given those that were asked for.

        Raises:
            InputError: the network is not for such rows, or not with these widths.
        """

    @abstractmethod
    def encoder(
        self, shape: Shape, widths: Widths, out_size: int, activation: Any, *, key: PRNGKeyArray
    ) -> Any:
        """A callable pytree from x of this shape to (out_size,)."""

    @abstractmethod
    def decoder(
        self,
        in_size: int,
        widths: Widths,
        num_outputs: int,
        shape: Shape,
        activation: Any,
        *,
        key: PRNGKeyArray,
    ) -> Any:
        """A callable pytree from z of `in_size` elements to (num_outputs * size,)."""


@dataclass(frozen=True)
class _Dense(AbstractNetwork):
    """Networks that flatten x.

    Attributes:
        make: a network from its input size, hidden widths, output size, activation and key.
        default: widths where none are asked for.
    """

    make: Callable[[int, Widths, int, Any, PRNGKeyArray], Any]
    default: Widths
    activation: str | None

    def widths(self, shape: Shape, asked: Widths | None) -> Widths:
        return self.default if asked is None else asked

    def encoder(
        self, shape: Shape, widths: Widths, out_size: int, activation: Any, *, key: PRNGKeyArray
    ) -> Any:
        return self.make(math.prod(shape), widths, out_size, activation, key)

    def decoder(
        self,
        in_size: int,
        widths: Widths,
        num_outputs: int,
        shape: Shape,
        activation: Any,
        *,
        key: PRNGKeyArray,
    ) -> Any:
        return self.make(in_size, widths[::-1], num_outputs * math.prod(shape), activation, key)


@dataclass(frozen=True)
class _ResidualConv(AbstractNetwork):
    """Networks of images; widths are channels, one for each halving of the resolution."""

    activation: str | None = "gelu"

    def widths(self, shape: Shape, asked: Widths | None) -> Widths:
        if len(shape) < 2:
            raise InputError(
                "images, (H, W) or (H, W, C), for the network residual-conv",
                f"a table of {counted(math.prod(shape), 'column')}",
                f"the network mlp or gated-mlp, or {option('image_shape')} where rows are flat images",
                where="network",
            )
        # The coarsest resolution is one pixel or more along the longer side.
        most = max(shape[:2]).bit_length() - 1
        size = f"{shape[0]} x {shape[1]} pixels"
        if most == 0:
            raise InputError(
                "images of at least 2 pixels a side for the network residual-conv",
                size, "the network mlp", where="network",
            )  # fmt: skip
        if asked is None:
            return _CHANNELS[:most]
        if not 1 <= len(asked) <= most:
            raise InputError(
                f"1 to {most} channel widths, one for each halving of {size}",
                f"{len(asked)}",
                ",".join(str(width) for width in _CHANNELS[:most]),
                where="hidden",
            )
        return asked

    def encoder(
        self, shape: Shape, widths: Widths, out_size: int, activation: Any, *, key: PRNGKeyArray
    ) -> Any:
        return ResidualConvEncoder(shape, widths, out_size, activation=activation, key=key)

    def decoder(
        self,
        in_size: int,
        widths: Widths,
        num_outputs: int,
        shape: Shape,
        activation: Any,
        *,
        key: PRNGKeyArray,
    ) -> Any:
        return ResidualConvDecoder(
            in_size, widths, num_outputs, shape, activation=activation, key=key
        )


def _mlp(in_size: int, hidden: Widths, out_size: int, activation: str, key: PRNGKeyArray) -> MLP:
    return MLP(in_size, hidden, out_size, activation=activation, key=key)


def _gated_mlp(
    in_size: int, hidden: Widths, out_size: int, activation: None, key: PRNGKeyArray
) -> GatedMLP:
    return GatedMLP(in_size, hidden, out_size, key=key)


def last_layer(encoder: Any) -> Any:
    """The affine map behind a network of the registry, from its last hidden layer to the features."""
    return encoder.layers[-1] if isinstance(encoder, MLP) else encoder.output


NETWORKS: dict[str, AbstractNetwork] = {
    "mlp": _Dense(_mlp, (256, 256), "gelu"),
    "gated-mlp": _Dense(_gated_mlp, (300, 300), None),
    "residual-conv": _ResidualConv(),
}
