"""What the steps of all ascents have in common.

    taken       a step whose value or gradients are not finite leaves the state as it was
    moved       parameters <- parameters + scale * optimizer(gradient)
    rescaled    scale <- factor * scale
    inspected   what the next step would compute from each row of its batch, with the step's own keys
    scored      the terms and the gradient of one row

A rejected step reports NaN, so that a gradient which is not finite behind a finite value shows, too.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum, num_rows, particles
from taut.inference.algorithm import Inspection
from taut.inference.amortized.batch_surrogate import Prepare, row_key
from taut.inference.amortized.finite import all_finite

__all__ = ["inspected", "moved", "rescaled", "scored", "taken"]


def taken(
    before: Any, value: Float[Array, ""], gradients: Any, accepted: Callable[[], Any]
) -> tuple[Any, Float[Array, ""]]:
    """What a step leaves, and the value that it reports.

    Arguments:
        before: what it began with, a pytree of arrays.
        value: of the bound, nats per row.
        gradients: all that it moves by.
        accepted: () -> what it ends with, in the structure of `before`.

    Returns:
        `accepted()` with the value where all is finite, else `before` with NaN.
    """
    finite = all_finite(value, gradients)
    return jax.lax.cond(finite, accepted, lambda: before), jnp.where(finite, value, jnp.nan)


def moved(
    optimizer: optax.GradientTransformation,
    gradient: Any,
    moments: Any,
    side: Any,
    parameters: Any,
    scale: Float[Array, ""],
) -> tuple[Any, Any]:
    """Parameters and the optimizer's state after one update.

    Arguments:
        optimizer: any Optax transformation that minimises.
        gradient: in the structure of `side`.
        moments: state of the optimizer.
        side: the parameters that move; None elsewhere.
        parameters: all of them.
        scale: what the update is multiplied by, ().
    """
    updates, moments = optimizer.update(gradient, moments, side)
    updates = jax.tree.map(lambda u: scale.astype(u.dtype) * u, updates)
    return eqx.apply_updates(parameters, updates), moments


def rescaled(state: Any, factor: float) -> Any:
    """A state whose later updates are multiplied by the factor."""
    return state._replace(scale=state.scale * factor)


def inspected(
    look: Callable[[Any, Datum, PRNGKeyArray], Inspection], *, prepare: Prepare | None
) -> Callable[[Any, Datum], Inspection]:
    """(state, batch) -> `Inspection`, row by row, with the keys of the next step.

    Arguments:
        look: (state, datum, key) -> terms (K,) or (K, G) and norm () of one row.
        prepare: from a stored datum to what the model sees this time.
    """

    def inspect(state: Any, batch: Datum) -> Inspection:
        key = jax.random.fold_in(state.key, state.step)

        def row(entry: tuple[Datum, PRNGKeyArray]) -> Inspection:
            return look(state, *row_key(*entry, prepare=prepare))

        return jax.lax.map(row, (batch, jax.random.split(key, num_rows(batch))))

    return inspect


def scored(
    sides: tuple[Any, Any],
    datum: Datum,
    key: PRNGKeyArray,
    num_particles: int,
    surrogate: Callable[[Any], Float[Array, ""]],
    live: Any,
) -> Inspection:
    """The terms of one row's log-weights, and the norm of its surrogate's gradient.

    Arguments:
        sides: model and guide.
        datum: one row.
        key: of its draws.
        num_particles: K.
        surrogate: of the row, as a function of what moves.
        live: what moves.
    """
    model, guide = sides
    minted = particles(model, guide, guide, datum, key, num_particles)
    return Inspection(minted.terms, optax.tree.norm(jax.grad(surrogate)(live)))
