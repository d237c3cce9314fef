"""The categorical prior of a mixture over one-hot z, p(z = e_k) = pi_k.

One-hot outcomes make the mean of a posterior the vector of responsibilities.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, equal_mass

__all__ = ["OneHotCategorical", "one_hot_log_prob"]


class OneHotCategorical(AbstractProposal):
    """Independent one-hot draws of equal mass.

    Attributes:
        log_p: normalised log-probabilities, (K,); -inf for an outcome that never comes up.
    """

    log_p: Float[Array, " K"]

    @property
    def reparameterized(self) -> bool:
        return False

    @property
    def one_hot(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        outcomes = jax.random.categorical(key, self.log_p, shape=(num_particles,))
        z = jax.nn.one_hot(outcomes, self.log_p.shape[0], dtype=self.log_p.dtype)
        return Draws(z, equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        return {NEG_LOG_Q: -one_hot_log_prob(z, self.log_p)}

    def mean(self) -> Float[Array, " K"]:
        return jnp.exp(self.log_p)

    def entropy(self) -> Float[Array, ""]:
        return -one_hot_log_prob(jnp.exp(self.log_p), self.log_p)


def one_hot_log_prob(z: Float[Array, " K"], values: Float[Array, " K"]) -> Float[Array, ""]:
    """sum_k z_k values_k, where z_k = 0 counts zero, also against -inf."""
    chosen = z > 0
    return jnp.sum(jnp.where(chosen, z * jnp.where(chosen, values, 0.0), 0.0))
