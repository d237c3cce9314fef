"""The guide of a class and of what varies within classes, the class being enumerated.

    q(y, z | x) = q(y | x) N(z; m_y(x), s_y(x)^2)

One network names the probabilities of the classes and the Gaussian within each. Source: Kingma, Mohamed,
Rezende and Welling (2014); there the network of the Gaussian reads y as an input.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import StratifiedProposal
from taut.guides.abstract import AbstractFamily

__all__ = ["StratifiedGaussian"]


class StratifiedGaussian(AbstractFamily):
    """C classes and a Gaussian with diagonal covariance within each.

    Arguments:
        num_classes: C.
        within_dim: d, dimensions of z.
    """

    name: ClassVar[str] = "stratified"

    num_classes: int = eqx.field(static=True)
    within_dim: int = eqx.field(static=True)
    latent_dim: int = eqx.field(static=True)

    def __init__(self, num_classes: int, within_dim: int):
        self.num_classes, self.within_dim = num_classes, within_dim
        self.latent_dim = num_classes + within_dim

    @property
    def num_features(self) -> int:
        return self.num_classes * (1 + 2 * self.within_dim)

    def __call__(self, features: Float[Array, " F"]) -> Any:
        """A proposal over pairs (y, z) of shapes (C,), one-hot, and (d,)."""
        logits, gaussians = jnp.split(features, [self.num_classes])
        loc, log_scale = gaussians.reshape(2, self.num_classes, self.within_dim)
        return StratifiedProposal(logits, loc, jnp.exp(log_scale))
