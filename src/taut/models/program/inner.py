"""Programs in other coordinates: z is a function of w, and all else is the program's own.

    p(x, w) = p(x, z(w)) |det dz/dw|

Coordinates that end at an edge climb by e(w) = -log Phi(-w), which makes a unit exponential of a
standard normal.
"""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.layout import Layout
from taut.models.program.observed_values import ObservedValues

__all__ = ["AbstractInner", "log_slope", "normal", "unit_exponential"]


class AbstractInner(AbstractProgram):
    """p(x, w) of a program in z.

    Attributes:
        program: p(x, z) of all rows.
    """

    program: eqx.AbstractVar[AbstractProgram]

    @abstractmethod
    def inner(self, w: Float[Array, " d"]) -> Float[Array, " d"]:
        """z at w."""

    @property
    def layout(self) -> Layout:
        return self.program.layout

    @property
    def name(self) -> str:
        return self.program.name

    def has_free_constant(self, datum: Datum) -> bool:
        return self.program.has_free_constant(datum)

    def observed(self, datum: Datum) -> ObservedValues | None:
        return self.program.observed(datum)

    def constrain(self, z: Float[Array, " d"]) -> dict[str, Array]:
        return self.program.constrain(self.inner(z))

    def derived(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Array]:
        return self.program.derived(datum, self.inner(z))

    def predictive(
        self, datum: Datum, z: Float[Array, " d"], key: PRNGKeyArray
    ) -> dict[str, Array]:
        return self.program.predictive(datum, self.inner(z), key)

    def parts(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Part]:
        return self.program.parts(datum, self.inner(z))


def unit_exponential(w: Float[Array, "..."]) -> Float[Array, "..."]:
    """e(w)."""
    return -log_ndtr(-w)


def log_slope(w: Float[Array, "..."]) -> Float[Array, "..."]:
    """log e'(w)."""
    return norm.logpdf(w) - log_ndtr(-w)


def normal(step: Float[Array, "..."]) -> Float[Array, "..."]:
    """The w at which e(w) is a positive step."""
    return ndtri(-jnp.expm1(-step))
