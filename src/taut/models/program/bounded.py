"""A program whose latents end at edges that the data set: its coordinates climb within them.

    z_i = low_i + s_i e(w_i)           z_i = high_i - s_i e(w_i)           where one side ends
    z_i = low_i + (high_i - low_i) Phi(w_i)                                where both do

e makes a unit exponential of a standard normal, as in `inner`, and Phi, its distribution function, a
uniform. A Pareto's scale, say, ends at the least value observed, with its highest density there and an
exponential decay behind: no Gaussian over z follows that, and one over w does exactly.
"""

from typing import Any

import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from taut.core import LOG_VOLUME, Datum, Terms
from taut.models.program.abstract import AbstractProgram
from taut.models.program.inner import AbstractInner, log_slope, normal, unit_exponential

__all__ = ["Bounded"]


class Bounded(AbstractInner):
    """p(x, w) with every w in R^d inside of the edges.

    Attributes:
        program: p(x, z) of all rows.
        low: edges from below, -inf where there is none, (d,).
        high: edges from above, inf where there is none, (d,).
        scale: s, the distance from the one edge to where the mass lies, (d,).
    """

    program: AbstractProgram
    low: Float[Array, " d"]
    high: Float[Array, " d"]
    scale: Float[Array, " d"]

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        terms = self.program.terms(datum, self.inner(z))
        low, high, below, above = self._edges()
        both = jnp.log(high - low) + norm.logpdf(z)
        one_sided = jnp.log(self.scale) + log_slope(z)
        slopes = jnp.where(below & above, both, jnp.where(below | above, one_sided, 0.0))
        return {**terms, LOG_VOLUME: terms[LOG_VOLUME] + slopes.sum()}

    def unconstrain(self, values: dict[str, Any]) -> Float[Array, " d"]:
        z, (low, high, below, above) = self.program.unconstrain(values), self._edges()
        share = jnp.where(below & above, (z - low) / (high - low), 0.5)
        step = jnp.where(below, z - low, jnp.where(above, high - z, self.scale)) / self.scale
        one_sided = normal(jnp.where(below ^ above, step, 1.0))
        return jnp.where(below & above, ndtri(share), jnp.where(below | above, one_sided, z))

    def inner(self, w: Float[Array, " d"]) -> Float[Array, " d"]:
        """z, cell by cell."""
        low, high, below, above = self._edges()
        both = low + (high - low) * ndtr(w)
        step = self.scale * unit_exponential(w)
        one_sided = jnp.where(below, low + step, high - step)
        return jnp.where(below & above, both, jnp.where(below | above, one_sided, w))

    def _edges(self) -> tuple[Array, Array, Array, Array]:
        """Edges with 0 and 1 where there are none, and where there are some."""
        below, above = jnp.isfinite(self.low), jnp.isfinite(self.high)
        return jnp.where(below, self.low, 0.0), jnp.where(above, self.high, 1.0), below, above
