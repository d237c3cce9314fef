"""Poisson likelihood: a cell is a count with variance equal to its mean.

log p(x | l) = x l - e^l - log x!,        l = the log-rate
"""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution
from numpyro.distributions import Poisson as _Poisson

from taut.models.likelihoods.counts import AbstractCounts, CountMean

__all__ = ["Poisson"]


class Poisson(AbstractCounts):
    """Counts with one log-rate per cell.

    Arguments:
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`; None for totals of training
            rows.
    """

    name: ClassVar[str] = "poisson"

    def __init__(self, *, library: bool = False, library_size: float | None = None):
        self.log_mean = CountMean(library=library, library_size=library_size)

    def options(self) -> dict[str, Any]:
        return {"library": self.log_mean.library, "library_size": self.log_mean.library_size}

    def at(self, log_mean: Float[Array, "*data"]) -> Distribution:
        return _Poisson(jnp.exp(log_mean), validate_args=False)
