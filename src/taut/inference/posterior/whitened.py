"""A model in the coordinates of a Gaussian: p(x, m + L u) |det L| over u.

Stochastic steps of one size want coordinates in which the posterior has about unit
scales and no correlations.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import LOG_VOLUME, AbstractModel, Datum, Terms

__all__ = ["Whitened"]


class Whitened(AbstractModel):
    """p(x, u).

    Attributes:
        model: p(x, z).
        loc: m, (d,).
        tril: L, lower triangular with a positive diagonal, (d, d).
    """

    model: AbstractModel
    loc: Float[Array, " d"]
    tril: Float[Array, "d d"]

    @property
    def subsampled(self) -> bool:
        return self.model.subsampled

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        terms = dict(self.model.terms(datum, self.loc + self.tril @ z))
        volume = jnp.log(jnp.diagonal(self.tril)).sum()
        return {**terms, LOG_VOLUME: terms.get(LOG_VOLUME, 0.0) + volume}
