"""Two stochastic layers from the top down.

    p(z_1, z_2) = p(z_2) p(z_1 | z_2),        x given z_1 is independent of z_2

Source: sigmoid belief networks (Neal 1992); as trained with amortized guides by Mnih and Gregor, Neural
variational inference and learning in belief networks (2014).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, as_proposal, equal_mass, total
from taut.models.priors.abstract import AbstractPrior
from taut.models.stochastic_layer import ConditionalLayer

__all__ = ["Ancestral", "LayeredPrior"]


class Ancestral(AbstractProposal):
    """Draws of (z_1, z_2), z_2 first; the terms are (2,), of z_1 given z_2 and of z_2.

    Attributes:
        top: p(z_2).
        given: maps z_2 to p(z_1 | z_2).
    """

    top: AbstractProposal
    given: ConditionalLayer

    @property
    def reparameterized(self) -> bool:
        return False

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        top_key, key = jax.random.split(key)
        above = self.top.draw(top_key, num_particles).z
        keys = jax.random.split(key, num_particles)
        below = jax.vmap(lambda z, k: self.given(z).draw(k, 1).z[0])(above, keys)
        return Draws((below, above), equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        below, above = z
        layers = [total(self.given(above).terms(below)), total(self.top.terms(above))]
        return {NEG_LOG_Q: jnp.stack(layers)}


class LayeredPrior(AbstractPrior):
    """p(z_2) p(z_1 | z_2) over pairs (z_1, z_2).

    Attributes:
        top: p(z_2).
        given: maps z_2 to p(z_1 | z_2).
    """

    name: ClassVar[str] = "layered"

    top: AbstractPrior
    given: ConditionalLayer

    def __call__(self) -> Any:
        return Ancestral(as_proposal(self.top()), self.given)
