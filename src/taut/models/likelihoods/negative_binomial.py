"""Negative binomial likelihood: a cell is a count that spreads more than its mean.

    x ~ Poisson(mu g),  g ~ Gamma(r, r):      E[x] = mu,      Var[x] = mu + mu^2 / r

    log p(x) = log Gamma(x + r) - log Gamma(r) - log x! - r log(1 + e^l) - x log(1 + e^-l),

with l = log mu - log r. The inverse dispersion r is learned for each dimension; r to infinity is the
Poisson.
"""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, NegativeBinomialLogits

from taut.models.likelihoods.counts import AbstractCounts, CountMean
from taut.models.likelihoods.scale import Scale

__all__ = ["NegativeBinomial"]


class NegativeBinomial(AbstractCounts):
    """Counts with one log-mean per cell.

    Arguments:
        shape: shape of one row of data.
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`.
        floor: smallest inverse dispersion r; bounds the variance by mu + mu^2 / floor.
    """

    name: ClassVar[str] = "negative-binomial"
    inverse_dispersion: Scale

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        library: bool = False,
        library_size: float = 1e4,
        floor: float = 1e-3,
    ):
        self.log_mean = CountMean(library=library, library_size=library_size)
        self.inverse_dispersion = Scale("dimension", shape=shape, floor=floor)

    def options(self) -> dict[str, Any]:
        return {
            "library": self.log_mean.library,
            "library_size": self.log_mean.library_size,
            "floor": self.inverse_dispersion.floor,
        }

    def at(self, log_mean: Float[Array, "*data"]) -> Distribution:
        r = self.inverse_dispersion(log_mean[None])
        return NegativeBinomialLogits(r, log_mean - jnp.log(r), validate_args=False)
