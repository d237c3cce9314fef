"""Discrete latents in one or two stochastic layers, linear or not.

    one layer      p(z) p(x | z),                     q(z | x)
    two layers     p(z_2) p(z_1 | z_2) p(x | z_1),    q(z_1 | x) q(z_2 | z_1)

With no hidden layers every arrow is an affine map: a sigmoid belief network (Neal 1992), which on tables
of binary answers ends nats below one hidden layer. But for that layer the choices where none is made are
those of the linear model of REBAR and RELAX on binary images: 200 bits, a learned prior, rows centred by
their mean, bits read as signs, outputs that start at the data's log-odds. Rows of fewer than 400 numbers
get fewer bits: at the start all of them are noise to the decoder, which takes steps to be unlearnt.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.centred import AbstractCentred
from taut.architectures.choices import counts_of, units_of
from taut.architectures.latents import parse_latents
from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractPair, InputError, Pair, nearest
from taut.data import Schema
from taut.gradients import NVIL, REBAR, VIMCO, AbstractEstimator, DisARM, LeaveOneOut
from taut.guides import AmortizedGuide, FactorizedUnits, LayeredGuide
from taut.models import (
    ConditionalLayer,
    FactorizedPrior,
    LatentVariableModel,
    LayeredPrior,
    StochasticLayer,
)
from taut.networks import MLP

__all__ = ["Discrete"]

_PRIORS = ("learned", "uniform")


@dataclass(frozen=True)
class Discrete(AbstractCentred):
    """A VAE whose latents are bits or categories, in one layer or two.

    Attributes:
        latents: `bernoulli:D` for D bits, or `categorical:DxC` for D categories of C values; two sizes
            with a comma between them, as in `bernoulli:200,100`, make two layers, the first next to the
            data; None for half as many bits as a row has numbers, from 16 to 200.
        prior: distribution of the latents, or of the upper layer of two: `learned` or `uniform`.
        hidden: widths of the hidden layers of every map; with the network `mlp` one of 256 by
            default; in Python or a file `[]` makes every map linear.
    """

    name: ClassVar[str] = "discrete"
    default_draws: ClassVar[int] = 4
    default_hidden: ClassVar[tuple[int, ...] | None] = (256,)

    latents: str | None = None
    prior: Literal["learned", "uniform"] = "learned"

    def __post_init__(self):
        super().__post_init__()
        if self.latents is not None:
            parse_latents(self.latents)
        if self.prior not in _PRIORS:
            raise InputError(
                "learned or uniform as prior of discrete latents", repr(self.prior),
                nearest(self.prior, _PRIORS), where="prior",
            )  # fmt: skip

    def gradient(self, bound: AbstractBound) -> tuple[AbstractEstimator, str | None]:
        """The least noisy of those that are unbiased, by the bound and the kind of unit.

        For an average over draws DisARM serves bits and REBAR, which learns its temperature,
        categories; VIMCO serves several draws in one logarithm. Other bounds take RLOO where draws
        count apart, and NVIL, with a learned baseline, for a single one or under free bits.
        """
        bits = self.latents is None or self.latents.startswith("bernoulli")
        average = bound.separable and isinstance(bound, ELBO)
        if bits and average:
            return DisARM(), "unbiased for bits, from antithetic pairs of draws"
        if average and bound.minted > 1:
            return REBAR(), "unbiased, with relaxed draws for a baseline"
        if bound.minted < 2 or (isinstance(bound, ELBO) and not bound.separable):
            return NVIL(), "unbiased for any discrete latent, by a learned baseline"
        if bound.separable:
            why = f"unbiased, and each of {bound.minted} draws has the others for a baseline"
            return LeaveOneOut(), why
        return VIMCO(), f"unbiased for {bound.minted} draws in one logarithm"

    def with_widths(self, schema: Schema) -> "Discrete":
        chosen = super().with_widths(schema)
        if chosen.latents is not None:
            return chosen
        return replace(chosen, latents=f"bernoulli:{min(max(schema.size // 2, 16), 200)}")

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        assert chosen.latents is not None
        likelihood = chosen.make_likelihood(schema)
        units = None if likelihood.discrete else units_of(schema)
        layers = parse_latents(chosen.latents)
        first, top, signed = layers[0], layers[-1], layers[0].levels is None
        encoder_key, decoder_key, down_key, up_key = jax.random.split(key, 4)
        prior = FactorizedPrior(top, learned=self.prior == "learned")
        guide = AmortizedGuide(
            chosen.make_encoder(schema, first.size, encoder_key), FactorizedUnits(first), units,
            counts_of(schema, likelihood), jnp.zeros(schema.shape), schema.holes,
        )  # fmt: skip
        decoder = chosen.make_latent_decoder(
            schema, likelihood, first.size, decoder_key,
            signed=signed, first_of_layers=len(layers) == 2,
        )  # fmt: skip
        if len(layers) == 2:
            prior = LayeredPrior(prior, _between(chosen, top, first, down_key))
            guide = LayeredGuide(guide, _between(chosen, first, top, up_key))
        model = LatentVariableModel(prior, decoder, likelihood, schema.shape, units)
        return Pair(model, guide)


def _between(
    chosen: AbstractCentred, source: StochasticLayer, target: StochasticLayer, key: PRNGKeyArray
) -> ConditionalLayer:
    """The map from one stochastic layer to the distribution of another."""
    dense = chosen.network == "mlp"
    network = MLP(
        source.size, tuple(chosen.hidden or ()) if dense else (), target.size,
        activation=chosen.activation or "gelu", key=key,
    )  # fmt: skip
    return ConditionalLayer(network, target, source.levels is None)
