"""What the steps of all ascents have in common.

    taken       a step whose value or gradients are not finite leaves the state as it was
    moved       parameters <- parameters + scale * optimizer(gradient), constants as they are
    rescaled    scale <- factor * scale
    scored      the terms and the gradient of one row of the next step

A rejected step reports NaN, so that a gradient which is not finite behind a finite value shows, too.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from taut.core import Terms
from taut.inference.algorithm import Inspection
from taut.inference.amortized.finite import all_finite

__all__ = ["moved", "rescaled", "scored", "taken"]


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
    *,
    scale: Float[Array, ""],
    step: Int[Array, ""],
    free: Any = True,
) -> tuple[Any, Any]:
    """Parameters and the optimizer's state after one update.

    Arguments:
        optimizer: any Optax transformation that minimises; told the step of the run, if it asks for it.
        gradient: in the structure of `side`.
        moments: state of the optimizer.
        side: the parameters that move; None elsewhere.
        parameters: all of them.
        scale: what the update is multiplied by, ().
        step: of the run, which counts those in which the side was at rest.
        free: True where an array of `side` is no constant (`movable`); True for all. The optimizer sees
            a constant as 0, so that it has no part in a norm of all updates either.
    """
    seen = eqx.combine(eqx.filter(side, free), jax.tree.map(jnp.zeros_like, side))
    told = optax.with_extra_args_support(optimizer)
    updates, moments = told.update(gradient, moments, seen, step=step)
    updates = jax.tree.map(lambda u: scale.astype(u.dtype) * u, eqx.filter(updates, free))
    return eqx.apply_updates(parameters, updates), moments


def rescaled(state: Any, factor: float) -> Any:
    """A state whose later updates are multiplied by the factor."""
    return state._replace(scale=state.scale * factor)


def scored(terms: Terms, surrogate: Callable[[Any], Float[Array, ""]], live: Any) -> Inspection:
    """The terms of one row's log-weights, and the norm of its surrogate's gradient.

    Arguments:
        terms: of the row.
        surrogate: of the row, as a function of what moves.
        live: what moves.
    """
    return Inspection(terms, optax.tree.norm(jax.grad(surrogate)(live)))
