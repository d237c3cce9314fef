"""Discrete guides: independent units given the data, in one layer or two.

    one layer      q(z | x) = prod_d q(z_d; features_d(x))
    two layers     q(z_1, z_2 | x) = q(z_1 | x) q(z_2 | z_1)

Both are made from the bottom up, as in Mnih and Gregor (2014).
"""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from taut.core import Datum, LayeredProposal
from taut.guides.abstract import AbstractFamily
from taut.guides.amortized import AmortizedGuide
from taut.models import ConditionalLayer, StochasticLayer

__all__ = ["FactorizedUnits", "LayeredGuide"]


class FactorizedUnits(AbstractFamily):
    """Independent units; features are their log-odds or unnormalized log-probabilities.

    Arguments:
        layer: the form of the layer.
    """

    name: ClassVar[str] = "factorized"

    layer: StochasticLayer
    latent_dim: int = eqx.field(static=True)

    def __init__(self, layer: StochasticLayer):
        self.layer, self.latent_dim = layer, layer.size

    @property
    def num_features(self) -> int:
        return self.layer.size

    def __call__(self, features: Float[Array, " F"]) -> Any:
        """A proposal over z of shape (D,) for bits, (D, C) one-hot for categories."""
        return self.layer(features)


class LayeredGuide(eqx.Module):
    """q(z_1 | x) q(z_2 | z_1) over pairs (z_1, z_2).

    Attributes:
        first: q(z_1 | x).
        second: maps z_1 to q(z_2 | z_1).
    """

    first: AmortizedGuide
    second: ConditionalLayer

    def __call__(self, datum: Datum) -> LayeredProposal:
        return LayeredProposal(self.first(datum), self.second)
