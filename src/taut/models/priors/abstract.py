"""`AbstractPrior`: p(z), possibly with parameters that are learned."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx

__all__ = ["AbstractPrior"]


class AbstractPrior(eqx.Module):
    """p(z) as a function of its own parameters."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self) -> Any:
        """The prior as a NumPyro distribution over z with batch shape (), or a proposal."""
