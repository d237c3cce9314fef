"""`AbstractFamily`: a variational family, from unconstrained features to q(z | x)."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
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
    def __call__(self, features: Float[Array, " F"]) -> Any:
        """The member: a distribution with batch shape (), or a proposal.

        Its latents have `latent_dim` elements; those of a distribution have the shape (latent_dim,).
        """
