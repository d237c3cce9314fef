"""A layer of independent discrete units, and what names their distribution.

bits            z in {0, 1}^D                    features: D log-odds
categories      z one-hot, (D, C), as floats     features: D C unnormalized log-probabilities
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from taut.core import BernoulliProposal, CategoricalProposal
from taut.models.latent_decoder import flat

__all__ = ["ConditionalLayer", "StochasticLayer"]


class StochasticLayer(eqx.Module):
    """The form of a layer, without arrays.

    Attributes:
        units: D.
        levels: C outcomes of each unit; None for bits.
    """

    units: int = eqx.field(static=True)
    levels: int | None = eqx.field(static=True, default=None)

    @property
    def size(self) -> int:
        """How many numbers a latent has, and how many features name a distribution."""
        return self.units * (self.levels or 1)

    def __call__(self, features: Float[Array, " F"]) -> BernoulliProposal | CategoricalProposal:
        """The distribution of the units at these features, (size,)."""
        if self.levels is None:
            return BernoulliProposal(features)
        return CategoricalProposal(features.reshape(self.units, self.levels))


class ConditionalLayer(eqx.Module):
    """The distribution of a layer given another layer's units.

    Attributes:
        network: from the other layer's latents, as one vector, to this layer's features.
        layer: the form of this layer.
        signed: whether the other layer's bits are read as signs, 2 z - 1.
    """

    network: Any
    layer: StochasticLayer
    signed: bool = eqx.field(static=True)

    def __call__(self, z: Float[Array, "..."]) -> BernoulliProposal | CategoricalProposal:
        u = flat(z)
        return self.layer(self.network(2 * u - 1 if self.signed else u))
