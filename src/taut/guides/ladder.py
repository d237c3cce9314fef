"""The inference side of a ladder, and the pair that shares the top-down path.

    d_0 = x,        d_i = network_i(d_{i-1}),        a_i, t_i = heads_i(d_i)                bottom up
    q(z | x) = q(z_L | x) prod_{i < L} q(z_i | z_{i+1}, x)                                  top down

The deterministic way up names a Gaussian for each layer; on the way down it meets the model's own path
(`LadderProposal`), whose parameters are in one place.

Source: Sonderby et al., Ladder variational autoencoders (2016), section 2.2.
"""

import itertools
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import AbstractModel, AbstractPair, Datum
from taut.guides.abstract import AbstractFamily
from taut.guides.marking import filled
from taut.models import AbstractLikelihood, LatentVariableModel, LogCounts, Units
from taut.models.ladder import BottomLayer, LadderPrior, LadderProposal, TopDown, gaussians, message
from taut.networks import activation

__all__ = ["BottomUp", "LadderFamily", "LadderGuide", "LadderPair"]


class BottomUp(eqx.Module):
    """Deterministic features of each layer, and what they say of its latents.

    Attributes:
        networks: from d_{i-1} to d_i before its activation.
        heads: from d_i to the features of z_i, (2 d_i,).
        activation: elementwise function of d_i.
    """

    networks: tuple[Any, ...]
    heads: tuple[Any, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> list[Float[Array, " F"]]:
        function = activation(self.activation)
        found, d = [], x
        for network, head in zip(self.networks, self.heads, strict=True):
            d = function(network(d))
            found.append(head(d))
        return found


class LadderFamily(AbstractFamily):
    """Ways down that share the model's path; features are those of each layer, z_1 first.

    Arguments:
        path: the model's way down.
    """

    name: ClassVar[str] = "ladder"

    path: TopDown
    latent_dim: int = eqx.field(static=True)

    def __init__(self, path: TopDown):
        self.path, self.latent_dim = path, sum(path.dims)

    @property
    def num_features(self) -> int:
        return 2 * self.latent_dim

    def __call__(self, features: Float[Array, " F"]) -> LadderProposal:
        ends = list(itertools.accumulate(2 * dim for dim in self.path.dims[:-1]))
        *below, top = jnp.split(features, ends)
        return LadderProposal(self.path, tuple(message(f) for f in below), gaussians(top))


class LadderGuide(eqx.Module):
    """q(z | x) from the top down.

    Attributes:
        encoder: the way up.
        path: the model's way down.
        units: standardisation of x; None where the encoder reads the data's units.
        counts: how the encoder reads counts; None where x are no counts.
        marked: the encoder reads which cells are observed, too.
    """

    encoder: BottomUp
    path: TopDown
    units: Units | None = None
    counts: LogCounts | None = None
    marked: bool = eqx.field(static=True, default=False)

    def __call__(self, datum: Datum) -> LadderProposal:
        return self.family(self.features(datum))

    @property
    def family(self) -> LadderFamily:
        """What the way up names a member of."""
        return LadderFamily(self.path)

    def features(self, datum: Datum) -> Float[Array, " F"]:
        """What the way up says of each layer, z_1 first, (num_features,)."""
        # Rows of bits or counts that a model has drawn are whole numbers.
        x = datum.x.astype(jnp.result_type(datum.x, float))
        x = x if self.units is None else self.units.standardize(x)
        x = x if self.counts is None else self.counts.standardize(x)
        x = filled(x, datum.mask, marked=self.marked)
        return jnp.concatenate(self.encoder(x))


class LadderPair(AbstractPair):
    """A ladder: the top-down path is in one place and on both sides.

    Attributes:
        path: p(z), and the way down of q(z | x).
        decoder: from z_1 to the likelihood's outputs.
        likelihood: p(x | outputs).
        encoder: the way up.
        data_shape: of x.
        units: standardisation of x.
        counts: how the encoder reads counts; None where x are no counts.
        marked: the encoder reads which cells are observed, too.
    """

    path: TopDown
    decoder: Any
    likelihood: AbstractLikelihood
    encoder: BottomUp
    data_shape: tuple[int, ...] = eqx.field(static=True)
    units: Units | None = None
    counts: LogCounts | None = None
    marked: bool = eqx.field(static=True, default=False)

    def bind(self) -> tuple[AbstractModel, LadderGuide]:
        decoder = BottomLayer(self.decoder, self.path.dims[0])
        model = LatentVariableModel(
            LadderPrior(self.path), decoder, self.likelihood, self.data_shape, self.units
        )
        return model, LadderGuide(self.encoder, self.path, self.units, self.counts, self.marked)
