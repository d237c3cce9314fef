"""Draws that stand for a proposal one by one, where `draw` may return whole replicates of strata."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.proposals import AbstractProposal

__all__ = ["independent_draws", "one_draw"]


def independent_draws(
    q: AbstractProposal, key: PRNGKeyArray, num: int
) -> tuple[Any, Float[Array, " K"]]:
    """Independent draws of equal mass, of a stratum with its chance; or all outcomes with theirs.

    Arguments:
        q: the proposal.
        key: of the draws.
        num: how many; of no account where q enumerates.

    Returns:
        draws, a leading axis over K, and their masses, which add up to 1.
    """
    if q.strata == 1:
        draws = q.draw(key, num)
        return draws.z, jnp.exp(draws.log_mass)
    key, chosen_key = jax.random.split(key)
    draws = q.draw(key, num)
    chosen = jax.random.categorical(chosen_key, draws.log_mass.reshape(num, q.strata))
    places = jnp.arange(num) * q.strata + chosen
    return jax.tree.map(lambda leaf: leaf[places], draws.z), jnp.full(num, 1.0 / num)


def one_draw(q: AbstractProposal, key: PRNGKeyArray) -> Any:
    """One draw, without a leading axis; of a support that q enumerates an outcome by its mass."""
    z, mass = independent_draws(q, key, 1)
    first = 0 if len(mass) == 1 else jax.random.categorical(key, jnp.log(mass))
    return jax.tree.map(lambda leaf: leaf[first], z)
