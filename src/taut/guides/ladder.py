"""The inference side of a ladder, and the pair that shares the top-down path.

    d_0 = x,        d_i = network_i(d_{i-1}),        a_i, t_i = heads_i(d_i)                bottom up
    q(z | x) = q(z_L | x) prod_{i < L} q(z_i | z_{i+1}, x)                                  top down

The deterministic way up names a Gaussian for each layer; on the way down it meets the model's own path
(`LadderProposal`), whose parameters are in one place.

Source: Sonderby et al., Ladder variational autoencoders (2016), section 2.2.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from taut.core import AbstractModel, AbstractPair, Datum
from taut.guides.marking import filled
from taut.models import AbstractLikelihood, LatentVariableModel, LogCounts, Units
from taut.models.ladder import BottomLayer, LadderPrior, LadderProposal, TopDown, gaussians, message
from taut.networks import activation

__all__ = ["BottomUp", "LadderGuide", "LadderPair"]


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
        x = datum.x if self.units is None else self.units.standardize(datum.x)
        x = x if self.counts is None else self.counts.standardize(x)
        x = filled(x, datum.mask, marked=self.marked)
        *below, top = self.encoder(x)
        return LadderProposal(self.path, tuple(message(f) for f in below), gaussians(top))


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
