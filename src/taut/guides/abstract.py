"""`AbstractFamily`: a variational family, from unconstrained features to q(z | x)."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import numpyro.distributions as dist
from jaxtyping import Array, Float

__all__ = ["AbstractFamily"]


class AbstractFamily(eqx.Module):
    """Maps features to a distribution over z."""

    name: ClassVar[str]
    latent_dim: eqx.AbstractVar[int]

    @property
    @abstractmethod
    def num_features(self) -> int:
        """How many unconstrained numbers name one member of the family."""

    @abstractmethod
    def __call__(self, features: Float[Array, " F"]) -> dist.Distribution:
        """The member, with event shape (latent_dim,) and batch shape ()."""
