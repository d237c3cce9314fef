"""Independent parts: q(z_1, ..., z_P) = prod_p q_p(z_p); a latent is the tuple of the parts' latents."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.particles import NEG_LOG_Q, Terms, total
from taut.core.proposals import AbstractProposal, Draws, equal_mass

__all__ = ["ProductProposal"]


class ProductProposal(AbstractProposal):
    """Independent draws of every part, of equal mass.

    Attributes:
        parts: proposals with a density whose draws have equal mass.
    """

    parts: tuple[AbstractProposal, ...]

    @property
    def reparameterized(self) -> bool:
        return all(part.reparameterized for part in self.parts)

    @property
    def one_hot(self) -> tuple[Any, ...]:
        return tuple(part.one_hot for part in self.parts)

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        keys = jax.random.split(key, len(self.parts))
        z = tuple(p.draw(k, num_particles).z for p, k in zip(self.parts, keys, strict=True))
        return Draws(z, equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        """-log q of each part, (P,); nats."""
        each = [total(p.terms(part)) for p, part in zip(self.parts, z, strict=True)]
        return {NEG_LOG_Q: jnp.stack(each)}

    def mean(self) -> Any:
        return tuple(part.mean() for part in self.parts)

    def entropy(self) -> Float[Array, ""]:
        return jnp.sum(jnp.stack([part.entropy() for part in self.parts]))
