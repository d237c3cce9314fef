"""Free coordinates u in R^d of a continuous latent z = T(u), for what moves along gradients.

    log q(u) = log q(T(u)) + log |det dT/du|

T is the identity where z is free, and else the bijection that NumPyro keeps for the support of the
proposal (exponential for positive z). The volume is that of every density over z alike, so that
log-weights do not change with the coordinates.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from taut.core import (
    AbstractDiscreteProposal,
    AbstractModel,
    AbstractProposal,
    Datum,
    DistributionProposal,
    InputError,
)
from taut.evidence.importance import proposal_of
from taut.models import ChainModel

__all__ = ["Coordinates", "coordinates", "moves", "refuse_what_cannot_move"]


class Coordinates(NamedTuple):
    """The way between u and z, one draw at a time.

    Attributes:
        to_z: from u, (d,), to z.
        to_u: from z to u.
        log_volume: log |det dT/du| at u, nats.
    """

    to_z: Callable[[Float[Array, " d"]], Any]
    to_u: Callable[[Any], Float[Array, " d"]]
    log_volume: Callable[[Float[Array, " d"]], Float[Array, ""]]


def coordinates(q: AbstractProposal) -> Coordinates:
    """Those of a proposal's draws.

    Arguments:
        q: over continuous latents; see `refuse_what_cannot_move`.
    """
    example = _drawn(q)
    transform: Any = _bijection(q)
    if transform is not None:
        free = jax.eval_shape(transform.inv, example)
        return Coordinates(
            to_z=lambda u: transform(u.reshape(free.shape)),
            to_u=lambda z: transform.inv(z).reshape(-1),
            log_volume=lambda u: jnp.sum(
                transform.log_abs_det_jacobian(
                    u.reshape(free.shape), transform(u.reshape(free.shape))
                )
            ),
        )
    leaves, tree = jax.tree.flatten(example)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]

    def to_z(u: Float[Array, " d"]) -> Any:
        parts = jnp.split(u, ends)
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(tree, shaped)

    def to_u(z: Any) -> Float[Array, " d"]:
        return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(z)])

    return Coordinates(to_z, to_u, lambda u: jnp.zeros((), u.dtype))


def refuse_what_cannot_move(model: AbstractModel, start: Any, rows: Datum, *, method: str) -> None:
    """Raise where latents are not continuous, or stand for whole paths.

    Arguments:
        model: p(x, z).
        start: what the draws come from, datum -> proposal.
        rows: a batched datum.
        method: the method's name, for the message.
    """
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent, which a step along a gradient can move",
            "a chain of layers, whose number is its own log-weight", "importance", where=method,
        )  # fmt: skip
    if not moves(proposal_of(start, rows)):
        raise InputError(
            "continuous latents with a density, which a step along a gradient can move",
            "latents that are discrete, or fixed by the row", "importance", where=method,
        )  # fmt: skip


def moves(q: AbstractProposal) -> bool:
    """Whether a step along a gradient can move the draws of q."""
    if isinstance(q, AbstractDiscreteProposal) or q.exhaustive or q.dirac or q.strata > 1:
        return False
    if not all(moves(part) for part in getattr(q, "parts", ())):
        return False
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(_drawn(q))):
        return False
    try:
        _bijection(q)
    except NotImplementedError:  # NumPyro has none for discrete supports
        return False
    return True


def _drawn(q: AbstractProposal) -> Any:
    """The shapes of one draw."""

    def first(q: AbstractProposal) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], q.draw(jax.random.key(0), 1).z)

    return eqx.filter_eval_shape(first, q)


def _bijection(q: AbstractProposal) -> Any:
    """From free coordinates to the support of a NumPyro distribution; None where z is free."""
    if not isinstance(q, DistributionProposal):
        return None
    support: Any = q.distribution.support
    while isinstance(support, dist.constraints.independent):
        support = support.base_constraint
    if support in (dist.constraints.real, dist.constraints.real_vector):
        return None
    return dist.biject_to(q.distribution.support)
