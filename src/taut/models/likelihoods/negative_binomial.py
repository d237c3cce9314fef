"""Negative binomial likelihood: a cell is a count that spreads more than its mean.

    x ~ Poisson(mu g),  g ~ Gamma(r, r):      E[x] = mu,      Var[x] = mu + mu^2 / r

    log p(x) = log Gamma(x + r) - log Gamma(r) - log x! - r log(1 + e^l) - x log(1 + e^-l),

with l = log mu - log r. The inverse dispersion r = floor + exp(raw) is learned for each dimension, in
steps of a share of itself; r to infinity is the Poisson.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, NegativeBinomialLogits

from taut.core import InputError, option
from taut.models.likelihoods.counts import AbstractCounts, CountMean

__all__ = ["NegativeBinomial"]


class NegativeBinomial(AbstractCounts):
    """Counts with one log-mean per cell.

    Arguments:
        shape: shape of one row of data.
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`; None for totals of training
            rows.
        floor: smallest inverse dispersion r; bounds the variance by mu + mu^2 / floor.
    """

    name: ClassVar[str] = "negative-binomial"
    log_inverse_dispersion: Float[Array, "*data"]
    floor: float = eqx.field(static=True)

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        library: bool = False,
        library_size: float | None = None,
        floor: float = 1e-3,
    ):
        self.log_mean = CountMean(library=library, library_size=library_size)
        if not floor > 0:
            raise InputError(
                "a positive floor", str(floor), option("likelihood_floor", 1e-3),
                where=option("likelihood_floor"),
            )  # fmt: skip
        self.log_inverse_dispersion = jnp.zeros(shape)
        self.floor = float(floor)

    def options(self) -> dict[str, Any]:
        return {
            "library": self.log_mean.library,
            "library_size": self.log_mean.library_size,
            "floor": self.floor,
        }

    @property
    def inverse_dispersion(self) -> Float[Array, "*data"]:
        """r."""
        return self.floor + jnp.exp(self.log_inverse_dispersion)

    def dispersed(self, inverse: Float[Array, "*data"]) -> "NegativeBinomial":
        raw = jnp.log(jnp.maximum(inverse - self.floor, self.floor))
        old = self.log_inverse_dispersion
        return eqx.tree_at(lambda nb: nb.log_inverse_dispersion, self, raw.astype(old.dtype))

    def rates(
        self,
        means: Float[np.ndarray, "N *data"],
        outputs: Float[np.ndarray, "N 1 *data"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "N *data"]:
        r = np.broadcast_to(np.asarray(self.inverse_dispersion, np.float64), means.shape)
        return means * generator.standard_gamma(r) / r

    def at(self, log_mean: Float[Array, "*data"]) -> Distribution:
        r = self.inverse_dispersion
        return NegativeBinomialLogits(r, log_mean - jnp.log(r), validate_args=False)
