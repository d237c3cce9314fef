"""A class that is enumerated and a Gaussian within each class.

    q(y, z) = q(y) N(z; m_y, s_y^2),        y one-hot in C classes

Each replicate has one draw of z within every class, of mass q(y), so that nothing of y is left to
chance: K replicates are C K draws of mass q(y) / K, ordered replicate by replicate. Where a class is
known, the draws within the others have no mass. The masses and the draws are differentiable in the
parameters (Kingma, Mohamed, Rezende and Welling 2014, eq. 7, for rows without a label).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.core.particles import NEG_LOG_Q, Terms
from taut.core.proposals import AbstractProposal, Draws

__all__ = ["StratifiedProposal"]

# Nats: a mass of 0 in float64, times which its own logarithm is 0. Inside a logarithm the log-weight,
# which holds as much with the other sign, would make up for it: half of this is no mass at all.
_EXCLUDED = -1e4


class StratifiedProposal(AbstractProposal):
    """q(y) q(z | y); a latent is the pair (y, z).

    Attributes:
        logits: unnormalized log-probabilities of the classes, (C,).
        loc: means within the classes, (C, d).
        scale: standard deviations within the classes, positive, (C, d).
    """

    logits: Float[Array, " C"]
    loc: Float[Array, "C d"]
    scale: Float[Array, "C d"]

    @property
    def reparameterized(self) -> bool:
        return True

    @property
    def strata(self) -> int:
        return self.logits.shape[0]

    @property
    def one_hot(self) -> tuple[bool, bool]:
        return True, False

    @property
    def log_q_y(self) -> Float[Array, " C"]:
        """log q(y), (C,)."""
        return jax.nn.log_softmax(self.logits)

    def known(self, label: Int[Array, ""]) -> "StratifiedProposal":
        """The same where the class is known: q(y) is one there, and 0 elsewhere; as it is for -1."""
        there = jnp.arange(self.strata) == label
        logits = jnp.where(there, 0.0, _EXCLUDED).astype(self.logits.dtype)
        return StratifiedProposal(
            jnp.where(label < 0, self.logits, logits), self.loc, self.scale
        )  # fmt: skip

    def within(self, y: Float[Array, " C"]) -> dist.Distribution:
        """q(z | y) with event shape (d,)."""
        return dist.Normal(y @ self.loc, y @ self.scale).to_event(1)

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        noise = jax.random.normal(key, (num_particles, *self.loc.shape), self.loc.dtype)
        z = (self.loc + self.scale * noise).reshape(-1, self.loc.shape[1])
        y = jnp.tile(jnp.eye(self.strata, dtype=self.loc.dtype), (num_particles, 1))
        log_q_y = jnp.where(self.log_q_y > _EXCLUDED / 2, self.log_q_y, -jnp.inf)
        log_mass = jnp.tile(log_q_y, num_particles) - jnp.log(float(num_particles))
        return Draws((y, z), log_mass)

    def terms(self, z: Any) -> Terms:
        y, within = z
        log_q = jnp.stack([y @ self.log_q_y, jnp.asarray(self.within(y).log_prob(within))])
        return {NEG_LOG_Q: -log_q}

    def mean(self) -> Any:
        q = jnp.exp(self.log_q_y)
        return q, q @ self.loc

    def entropy(self) -> Float[Array, ""]:
        q = jnp.exp(self.log_q_y)
        within = dist.Normal(self.loc, self.scale).entropy().sum(axis=1)
        return jnp.sum(q * (within - self.log_q_y))
