"""A distribution as a prior whose parameters stay as given."""

from typing import Any, ClassVar

import numpyro.distributions as dist

from taut.core import AbstractProposal, frozen
from taut.models.priors.abstract import AbstractPrior

__all__ = ["FixedPrior"]


class FixedPrior(AbstractPrior):
    """p(z) given by a NumPyro distribution with batch shape (), or a proposal with a density."""

    name: ClassVar[str] = "fixed"

    distribution: dist.Distribution | AbstractProposal

    def __call__(self) -> Any:
        return frozen(self.distribution)
