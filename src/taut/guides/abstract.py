"""`AbstractFamily`: a variational family, from unconstrained features to q(z | x).

A guide that names a member of one by its features is a `FeatureGuide`.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.networks import Linear

__all__ = ["AbstractFamily", "FeatureGuide"]


class AbstractFamily(eqx.Module):
    """Maps features to a distribution over z."""

    name: ClassVar[str]
    latent_dim: eqx.AbstractVar[int]

    @property
    @abstractmethod
    def num_features(self) -> int:
        """How many unconstrained numbers name one member of the family."""

    def head(self, gaussian: Linear, *, key: PRNGKeyArray) -> Linear:
        """An encoder's last layer, under which members are those Gaussians at the start, where it can.

        Arguments:
            gaussian: to the mean and the logarithms of the scales of z, (i, 2 latent_dim).
            key: for columns that may start anywhere.
        """
        return Linear(gaussian.weight.shape[0], self.num_features, key=key)

    @abstractmethod
    def __call__(self, features: Float[Array, " F"]) -> Any:
        """The member: a distribution with batch shape (), or a proposal.

        Its latents have `latent_dim` elements; those of a distribution have the shape (latent_dim,).
        """


@runtime_checkable
class FeatureGuide(Protocol):
    """q(z | x) = family(features of x)."""

    @property
    def family(self) -> AbstractFamily:
        """The family; features of any value name one of its members."""
        ...

    def features(self, datum: Datum) -> Float[Array, " F"]:
        """The features at one datum, (num_features,)."""
        ...
