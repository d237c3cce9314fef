"""A mixture of members of one family: q(z) = sum_k w_k q(z; given_k).

    log q(z) = logsumexp_k [log w_k + log q(z; given_k)]            [nats], exact

The densities are made in blocks that are forgotten and made again for a gradient, so that memory
grows with one block, however many members there are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.diagonal_gaussians import diagonal_gaussian, gaussian_log_densities
from taut.core.independent_draws import one_draw
from taut.core.particles import NEG_LOG_Q, Terms, total
from taut.core.proposals import AbstractProposal, Draws, as_proposal, equal_mass

__all__ = ["MixtureProposal"]

_BLOCK = 1024  # members whose densities are held at once


class MixtureProposal(AbstractProposal):
    """Draws z of a member that is drawn by its weight.

    Attributes:
        member: from an entry of `given` to a proposal with a density, or a NumPyro distribution.
        given: what names each member, a pytree with leading axis K.
        log_weights: of the members, normalised, (K,).
    """

    member: Callable[[Any], Any]
    given: Any
    log_weights: Float[Array, " K"]

    @property
    def reparameterized(self) -> bool:
        return False  # which member it is jumps

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        member_key, key = jax.random.split(key)
        # Along the sums of the weights: Gumbel variates would be one for each draw of each member.
        weights = jax.lax.stop_gradient(jnp.exp(self.log_weights))
        chosen = jax.random.choice(member_key, len(weights), (num_particles,), p=weights)
        given = jax.tree.map(lambda leaf: leaf[chosen], self.given)
        keys = jax.random.split(key, num_particles)
        z = jax.vmap(lambda at, k: one_draw(as_proposal(self.member(at)), k))(given, keys)
        return Draws(z, equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        num = self.log_weights.shape[0]
        if num <= _BLOCK:
            return {NEG_LOG_Q: -self._log_sum(self.given, self.log_weights, z)}
        blocks = -(-num // _BLOCK)
        # The last member fills the last block up, with no weight.
        filled = jnp.minimum(jnp.arange(blocks * _BLOCK), num - 1)
        log_weights = jnp.where(
            jnp.arange(blocks * _BLOCK) < num, self.log_weights[filled], -jnp.inf
        )
        given, log_weights = jax.tree.map(
            lambda leaf: leaf.reshape(blocks, _BLOCK, *leaf.shape[1:]),
            (jax.tree.map(lambda leaf: leaf[filled], self.given), log_weights),
        )
        one = jax.checkpoint(lambda block: self._log_sum(block[0], block[1], z))
        return {NEG_LOG_Q: -jax.nn.logsumexp(jax.lax.map(one, (given, log_weights)))}

    def mean(self) -> Any:
        means = jax.vmap(lambda at: as_proposal(self.member(at)).mean())(self.given)
        return jax.tree.map(lambda m: jnp.tensordot(jnp.exp(self.log_weights), m, axes=1), means)

    def _log_sum(self, given: Any, log_weights: Float[Array, " B"], z: Any) -> Float[Array, ""]:
        gaussians = jax.vmap(lambda at: diagonal_gaussian(as_proposal(self.member(at))))(given)
        if gaussians is not None:
            return jax.nn.logsumexp(log_weights + gaussian_log_densities(z, *gaussians))
        log_q = jax.vmap(lambda at: -total(as_proposal(self.member(at)).terms(z)))(given)
        return jax.nn.logsumexp(log_weights + log_q)
