"""Draws that stand still: what the score-function family mints, and each draw's share of the objective.

    grad_phi E_q[f] = E_q[f grad_phi log q] + E_q[grad_phi f at fixed z]

The draws carry no gradient, whether they could or not; the guide's density at them does.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import (
    NEG_LOG_Q,
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    Particles,
    frozen,
    option,
    particles,
)

__all__ = ["each_alone", "require_chance", "still_log_q", "still_particles"]


def still_particles(
    model: AbstractModel,
    q: AbstractProposal,
    datum: Datum,
    key: PRNGKeyArray,
    num_particles: int,
) -> Particles:
    """Particles whose draws hold no gradient, though log q at them does.

    Raises:
        InputError: q is Dirac or enumerated.
    """
    require_chance(q)
    return particles(model, lambda _: frozen(q), lambda _: q, datum, key, num_particles)


def require_chance(q: AbstractProposal) -> None:
    """Refuse a guide without random draws.

    Raises:
        InputError: q is Dirac or enumerated, so that there is no score to weigh.
    """
    if q.dirac or q.exhaustive:
        raise InputError(
            "a guide that draws z at random",
            f"{type(q).__name__}, which leaves nothing to chance",
            f"{option('gradient', 'reparameterized')}, which is exact for it",
            where="gradient",
        )


def each_alone(
    bound: AbstractBound, particles: Particles, step: Int[Array, ""] | int
) -> Float[Array, " K"]:
    """The objective at each draw alone, nats, without a gradient; for a separable bound."""

    def alone(terms: dict[str, Array], kl: Array | None) -> Float[Array, ""]:
        one = {name: t[None] for name, t in terms.items()}
        whole = Particles(
            z=None,
            log_mass=jnp.zeros(1),
            terms=one,
            kl=None if kl is None else kl[None],
            subsampled=particles.subsampled,
        )
        return bound.objective(whole, step)

    return jax.vmap(alone)(*jax.lax.stop_gradient((particles.terms, particles.kl)))


def still_log_q(particles: Particles) -> Particles:
    """The same particles with no gradient through log q at the draws; a closed KL keeps its own.

    In a separable bound it adds a constant multiple of grad log q to the gradient: noise of mean zero.
    """
    held = {
        name: jax.lax.stop_gradient(t) if name == NEG_LOG_Q else t
        for name, t in particles.terms.items()
    }
    return eqx.tree_at(lambda p: p.terms, particles, held)
