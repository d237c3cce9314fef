"""`AbstractProgram`: p(x, z) given by code, over a flat and unconstrained latent vector.

    z in R^d,        theta = T(z) in natural units

    terms            log p(x, theta) and log |det dT/dz|, whose sum is the density of z in R^d
    `constrain`      T
    `unconstrain`    its inverse

The data travel in the datum: `datum.x` holds all arrays of the program, whole, and `datum.index` the
rows of a minibatch, which are gathered where the program runs.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import AbstractModel, Datum
from taut.models.program.layout import Layout, scalars
from taut.models.program.observed_values import ObservedValues
from taut.models.program.supports import Site

__all__ = ["AbstractProgram", "Part"]


class Part(NamedTuple):
    """One site's share of the log-joint at one z, cell by cell.

    Attributes:
        log_prob: nats, before any scaling; of the site's batch shape.
        value: the site's value.
        supported: True where the value lies in the support; None where that is not checked.
        observed: whether the value is data.
    """

    log_prob: Float[Array, "..."]
    value: Any
    supported: Bool[Array, "..."] | None
    observed: bool


class AbstractProgram(AbstractModel):
    """p(x, z) from a user's code, with z a flat unconstrained vector of shape (d,)."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Where the latents stand in z."""

    @property
    def sites(self) -> tuple[Site, ...]:
        """The latents, in the program's order."""
        return self.layout.sites

    @property
    def dim(self) -> int:
        """d, the length of z."""
        return self.layout.dim

    @property
    def num_globals(self) -> int:
        """How many leading coordinates of z are shared by all rows."""
        return self.layout.num_globals

    @property
    def num_locals(self) -> int:
        """How many coordinates each row has to itself: z[num_globals:] is (rows, num_locals)."""
        return self.layout.num_locals

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the scalars of `constrain(z)`, in order: 'sigma', 'beta[0]', 'L[1,0]'."""
        return tuple(cell for site in self.sites for cell in scalars(site.name, site.shape))

    @property
    def row_scale(self) -> float:
        """N/B: the factor of the terms of single rows, 1 where the data are whole."""
        return 1.0

    @property
    def moving(self) -> frozenset[str]:
        """Observed sites whose support moves with latents, where that is known."""
        return frozenset()

    @property
    @abstractmethod
    def name(self) -> str:
        """File and function, for messages."""

    def has_free_constant(self, datum: Datum) -> bool:
        """True where the evidence is known up to a constant: some density need not be normalised."""
        return False

    def observed(self, datum: Datum) -> ObservedValues | None:
        """The values that the log-joint is a probability of; None where that is not known."""
        return None

    @abstractmethod
    def constrain(self, z: Float[Array, " d"]) -> dict[str, Array]:
        """The parameters in natural units, each of its site's shape."""

    @abstractmethod
    def unconstrain(self, values: dict[str, Any]) -> Float[Array, " d"]:
        """z from parameters in natural units; the inverse of `constrain`.

        Raises:
            InputError: a parameter too few or too many.
        """

    @abstractmethod
    def derived(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Array]:
        """What the program computes from its latents and names (`numpyro.deterministic`)."""

    @abstractmethod
    def predictive(
        self, datum: Datum, z: Float[Array, " d"], key: PRNGKeyArray
    ) -> dict[str, Array]:
        """New data given z, by observed site: one draw of p(x_new | z).

        Raises:
            InputError: the program is a density alone, from which nothing can be drawn.
        """

    @abstractmethod
    def parts(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Part]:
        """The log-joint site by site and cell by cell, for messages about where it is not finite."""

    def margins(self, datum: Datum, z: Float[Array, " d"]) -> Float[Array, " M"]:
        """How far observed values lie inside the bounds of supports that move, positive inside."""
        return jnp.zeros(0)

    def initial(self, key: PRNGKeyArray, scale: float = 2.0) -> Float[Array, " d"]:
        """A start, uniform on (-scale, scale) in each unconstrained coordinate (Stan's habit)."""
        return jax.random.uniform(key, (self.dim,), minval=-scale, maxval=scale)
