"""A user's NumPyro distribution as a prior whose parameters stay as given."""

from typing import Any, ClassVar

import numpyro.distributions as dist

from taut.core import frozen
from taut.models.priors.abstract import AbstractPrior

__all__ = ["FixedPrior"]


class FixedPrior(AbstractPrior):
    """p(z) given by a distribution with batch shape (); its parameters are not learned."""

    name: ClassVar[str] = "fixed"

    distribution: dist.Distribution

    def __call__(self) -> Any:
        return frozen(self.distribution)
