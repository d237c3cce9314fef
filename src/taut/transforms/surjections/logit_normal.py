"""The logit-normal proposal on (0, 1), and the layer parameter that makes one of a value.

    e ~ N(loc, scale^2),   u = sigmoid(e),        log q(u) = log N(e) - log u (1 - u)

Draws carry the density computed from e, which stays finite where u rounds to 0 or 1.

Source: Atchison and Shen, Logistic-normal distributions (Biometrika 1980), section 2.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, equal_mass
from taut.transforms.conditional import parameters_at

__all__ = ["ConditionalLogitNormal", "LogitNormal"]


class LogitNormal(AbstractProposal):
    """Independent cells in (0, 1).

    Attributes:
        loc, scale: of the logits, in u's shape.
    """

    loc: Float[Array, "*u"]
    scale: Float[Array, "*u"]

    @property
    def reparameterized(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        noise = jax.random.normal(key, (num_particles, *self.loc.shape), dtype=self.loc.dtype)
        logits = self.loc + self.scale * noise
        terms = {NEG_LOG_Q: jax.vmap(self._neg_log_q)(logits)}
        return Draws(jax.nn.sigmoid(logits), equal_mass(num_particles), terms)

    def terms(self, z: Any) -> Terms:
        inside = (z > 0) & (z < 1)
        u = jnp.where(inside, z, 0.5)
        neg_log_q = self._neg_log_q(jnp.log(u) - jnp.log1p(-u))
        return {NEG_LOG_Q: jnp.where(jnp.all(inside), neg_log_q, jnp.inf)}

    def _neg_log_q(self, logits: Float[Array, "*u"]) -> Float[Array, ""]:
        log_slope = -jax.nn.softplus(logits) - jax.nn.softplus(-logits)  # log u (1 - u)
        return jnp.sum(log_slope - dist.Normal(self.loc, self.scale).log_prob(logits))


class ConditionalLogitNormal(eqx.Module):
    """A logit-normal whose parameters are functions of a value.

    Attributes:
        features: loc and log-scale of the logits, (2, *shape), or a network from the value to as many
            numbers.
        shape: shape of what is drawn.
    """

    features: Any
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, value: Any) -> LogitNormal:
        loc, log_scale = parameters_at(self.features, value).reshape(2, *self.shape)
        return LogitNormal(loc, jnp.exp(log_scale))
