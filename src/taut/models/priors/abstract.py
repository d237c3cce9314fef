"""`AbstractPrior`: p(z), possibly with parameters that are learned."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from taut.core import AbstractProposal

__all__ = ["AbstractPrior"]


class AbstractPrior(eqx.Module):
    """p(z) as a function of its own parameters."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self) -> Any:
        """The prior as a NumPyro distribution over z with batch shape (), or a proposal."""

    def kl(self, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        """KL(q to p(z)) at one draw by a rule of this prior's own, (G,); nats. None without one."""
        return None
