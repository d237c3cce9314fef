"""The ladder variational autoencoder as a sentence of choices.

    d_i = a(network_i(d_{i-1})),      z_i given z_{i+1},      x given z_1        (i = 1..L from the data)

Level i has one width h_i: its way up, its part of the way down and, for i = 1, the decoder are MLPs with
two hidden layers of that width. With one level this is a VAE with a mean-field guide. The path starts
near N(0, I) whatever is above, and the outputs at independent columns of the training rows: a decoder
that has yet to learn them makes z_1 carry a constant, and the upper layers carry nothing.

Source: Sonderby, Raiko, Maaloe, Sonderby and Winther, Ladder variational autoencoders (2016).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from taut.architectures.choices import at_least_one, counts_of, units_of
from taut.architectures.networked import AbstractNetworked
from taut.core import AbstractPair, InputError, counted, option
from taut.data import Schema
from taut.guides import marked_shape
from taut.guides.ladder import BottomUp, LadderPair
from taut.models.ladder import TopDown
from taut.networks import MLP, Linear

__all__ = ["Ladder"]

_START = 0.1  # of the usual size of the path's last weights


@dataclass(frozen=True)
class Ladder(AbstractNetworked):
    """A ladder VAE, with several layers of Gaussian latents one above the other.

    Attributes:
        latent_dims: number of dimensions of each layer of latents, the one next to the data first.
        hidden: width of the networks of each layer of latents; None for 256, 128, ..., halved from
            layer to layer.
        activation: function between the layers of the networks, such as gelu or relu.
    """

    name: ClassVar[str] = "ladder"

    latent_dims: Sequence[int] = (32, 16)
    activation: str = field(default="gelu", kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "latent_dims", tuple(self.latent_dims))
        if not self.latent_dims:
            raise InputError("at least one level", "none", "32,16", where=option("latent_dims"))
        for dim in self.latent_dims:
            at_least_one(dim, "latent_dims")
        if self.hidden is not None and len(self.hidden) != len(self.latent_dims):
            raise InputError(
                f"one width for each of {counted(len(self.latent_dims), 'level')}",
                f"{len(self.hidden)}",
                ",".join(map(str, _widths(len(self.latent_dims)))), where="hidden",
            )  # fmt: skip

    def with_widths(self, schema: Schema) -> "Ladder":
        return replace(self, hidden=self.hidden or _widths(len(self.latent_dims)))

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen.make_likelihood(schema)
        dims, widths = tuple(self.latent_dims), tuple(chosen.hidden or ())
        levels = range(len(dims))
        up_key, head_key, down_key, decoder_key = jax.random.split(key, 4)
        up_keys, head_keys, down_keys = (
            jax.random.split(k, len(dims)) for k in (up_key, head_key, down_key)
        )
        below = (math.prod(marked_shape(schema.shape, marked=schema.holes)), *widths)

        def mlp(inputs: int, hidden: tuple[int, ...], outputs: int, key: PRNGKeyArray) -> MLP:
            return MLP(inputs, hidden, outputs, activation=self.activation, key=key)

        encoder = BottomUp(
            tuple(mlp(below[i], (widths[i],), widths[i], up_keys[i]) for i in levels),
            tuple(Linear(widths[i], 2 * dims[i], key=head_keys[i]) for i in levels),
            self.activation,
        )
        path = TopDown(
            tuple(
                _quiet(mlp(dims[i + 1], (widths[i + 1],) * 2, 2 * dims[i], down_keys[i]))
                for i in levels[:-1]
            ),
            dims,
        )
        outputs = likelihood.num_outputs * schema.size
        return LadderPair(
            path=path,
            decoder=mlp(dims[0], (widths[0],) * 2, outputs, decoder_key),
            likelihood=likelihood,
            encoder=encoder,
            data_shape=schema.shape,
            units=None if likelihood.discrete else units_of(schema),
            counts=counts_of(schema, likelihood),
            marked=schema.holes,
        )


def _quiet(network: MLP) -> MLP:
    return eqx.tree_at(lambda n: n.layers[-1].weight, network, replace_fn=lambda w: _START * w)


def _widths(levels: int) -> tuple[int, ...]:
    return tuple(max(256 >> i, 8) for i in range(levels))
