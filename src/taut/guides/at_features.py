"""The member of a variational family at given features, whatever the datum."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from taut.core import Datum
from taut.guides.abstract import AbstractFamily

__all__ = ["AtFeatures"]


class AtFeatures(eqx.Module):
    """q(z | x) = family(features), a guide for one datum whose features are at hand.

    Attributes:
        features: (num_features,).
        family: variational family.
    """

    features: Float[Array, " F"]
    family: AbstractFamily

    def __call__(self, datum: Datum) -> Any:
        """q(z | x) with event shape (latent_dim,)."""
        return self.family(self.features)
