"""The mint: the one place where log-weights are made.

Three slots, one for each way in which a parameter enters log w = log p(x, z) - log q(z | x):

    model          the density p(x, z)
    draw_guide     the path of the draws z ~ q
    density_guide  the density q(z | x) at those draws

All three are the live objects for a value or a reparameterized gradient; a gradient estimator is a
choice of which slot to hand over as `frozen(...)`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.datum import Datum
from taut.core.particles import LOG_VOLUME, Particles, Terms
from taut.core.proposals import AbstractProposal, Companion, as_proposal, equal_mass
from taut.core.protocols import AbstractModel
from taut.errors import InputError, option

__all__ = ["over_draws", "particles", "particles_at"]


def particles(
    model: AbstractModel,
    draw_guide: Any,
    density_guide: Any,
    datum: Datum,
    key: PRNGKeyArray,
    num_particles: int,
) -> Particles:
    """Weighted draws of z for one datum.

    Arguments:
        model: p(x, z).
        draw_guide: guide whose draws, and masses where they depend on parameters, are used.
        density_guide: guide whose density is evaluated at the draws; the same object as
            `draw_guide` unless a slot is frozen.
        datum: one row.
        key: random key of this datum.
        num_particles: K; enumerated and Dirac guides fix their own number.

    Returns:
        `Particles`, whose terms add up to log p(x, z) - log q(z | x) in nats.

    Raises:
        InputError: a guide with a Dirac step and only one of its slots frozen; terms named twice.
    """
    same = density_guide is draw_guide
    draw_q = as_proposal(draw_guide(datum))
    draws = draw_q.draw(key, num_particles)
    density_q = draw_q if same else as_proposal(density_guide(datum))
    q_terms = (
        draws.terms if same and draws.terms is not None else over_draws(density_q.terms, draws.z)
    )
    if not same and (draw_q.dirac or LOG_VOLUME in q_terms):
        raise InputError(
            "a guide that draws at random in every layer, as this gradient moves draws or density alone",
            "a guide with a deterministic layer, whose log-volume belongs to both",
            option("gradient", "reparameterized"),
            where="gradient",
        )
    beside = draws.companion if same else None
    return _weighed(
        model, datum, density_q, draws.z, draws.log_mass, q_terms, drawn_by=draw_q, beside=beside
    )


def particles_at(
    model: AbstractModel,
    density_guide: Any,
    datum: Datum,
    z: Any,
    *,
    log_mass: Float[Array, " K"] | None = None,
) -> Particles:
    """Log-weights log p(x, z) - log q(z | x) at given z, from wherever they come.

    Arguments:
        model: p(x, z).
        density_guide: guide whose density is evaluated.
        datum: one row.
        z: latents with leading axis K.
        log_mass: of each z, (K,); -log K when None.

    Returns:
        `Particles` as of `particles`, that claim nothing of how z was drawn.

    Raises:
        InputError: a guide without a density, which can be evaluated at its own draws only; terms
            named twice.
    """
    q = as_proposal(density_guide(datum))
    if q.dirac:
        raise InputError(
            "a guide with a density q(z | x), which log-weights at given z divide by",
            f"{type(q).__name__}, which maps each row to one z",
            "a guide that draws z at random",
            where="particles_at",
        )
    mass = equal_mass(jax.tree.leaves(z)[0].shape[0]) if log_mass is None else log_mass
    return _weighed(model, datum, q, z, mass, over_draws(q.terms, z))


def _weighed(
    model: AbstractModel,
    datum: Datum,
    q: AbstractProposal,
    z: Any,
    log_mass: Float[Array, " K"],
    q_terms: Terms,
    *,
    drawn_by: AbstractProposal | None = None,
    beside: Companion | None = None,
) -> Particles:
    """Both densities at z; `drawn_by` is the proposal that drew z as a whole, where one did, and
    `beside` what it drew with them."""
    p_terms = over_draws(lambda at: model.terms(datum, at), z)
    kl = over_draws(lambda at: model.kl(datum, q, at), z)
    control = None
    if beside is not None:
        control = over_draws(lambda at: model.control(datum, beside.q, at), beside.z)
    return Particles(
        z=z,
        log_mass=log_mass,
        terms=_joined(p_terms, q_terms),
        kl=kl,
        control=control,
        subsampled=model.subsampled,
        dirac=drawn_by is not None and drawn_by.dirac,
        exhaustive=drawn_by is not None and drawn_by.exhaustive,
        strata=1 if drawn_by is None else drawn_by.strata,
    )


def over_draws(function: Callable[[Any], Any], z: Any) -> Any:
    """`function` of every draw, with a first axis over them.

    A single draw is not batched: an axis of size one beside that of the rows costs the gradient of
    every matrix product a transposed copy.
    """
    if all(leaf.shape[0] == 1 for leaf in jax.tree.leaves(z)):
        alone = function(jax.tree.map(lambda leaf: leaf[0], z))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)
    return jax.vmap(function)(z)


def _joined(p_terms: Terms, q_terms: Terms) -> Terms:
    twice = p_terms.keys() & q_terms.keys()
    if twice:
        raise InputError(
            "each term from the model or from the guide",
            f"{sorted(twice)} from both",
            "giving one of them another name",
            where="terms",
        )
    return {name: jnp.asarray(value) for name, value in {**p_terms, **q_terms}.items()}
