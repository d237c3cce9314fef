"""Answers drawn nearer to their rows, along the edge of what is asked of them.

    min |u - u_0|^2      where s(u) >= level,  log p(u) >= floor

u is x / scale where z has as many dimensions and log p is that of rows, and z elsewhere. Each step goes
towards the point that is nearest to u_0 where both are made linear at u:

    w = argmin |w - (u_0 - u)|^2      where s + w . ds/du >= level,  log p + w . dlog p/du >= floor

A point beyond an edge is put back by the shortest w that does so to first order. It is taken if it
satisfies all that is asked and is nearer; else the step is shortened. Ascent stops where it first meets
the edge, and the nearest point of the edge lies elsewhere.

Without a floor the nearest point that reaches the level is that of x-space ascent, which leaves the
data: answers are drawn nearer under a floor alone.

Source of the step: Nocedal and Wright, Numerical optimization (2006), section 18.1.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core.compiling import kept_jit
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.generator import Identity
from taut.counterfactuals.judged import encoded, in_blocks
from taut.counterfactuals.result import ALREADY
from taut.counterfactuals.row_state import Point
from taut.counterfactuals.settled import Settled, distances, settled

__all__ = ["drawn_nearer"]

_MOST_TRIES = 60
_SHORTEST = 1e-3  # share of a step
_LEAST_GAIN = 1e-4  # share of the distance, below which a step is the last
_INSIDE = 0.5, 0.01  # of the target's tolerance, and nats, that a step aims inside of the edges
_TINY = 1e-30


class _State(NamedTuple):
    """One row on its way.

    Attributes:
        at: the nearest point so far.
        distance: of its row from it, in units of the scale.
        move: w there.
        share: of w that is tried.
        trial: the next point.
        mended: whether that is one that was put back.
        tries: points so far.
        done: whether no step is left.
    """

    at: Point
    distance: Float[Array, ""]
    move: Float[Array, " d"]
    share: Float[Array, ""]
    trial: Float[Array, " d"]
    mended: Bool[Array, ""]
    tries: Int[Array, ""]
    done: Bool[Array, ""]


def drawn_nearer(
    ascent: Ascent, own: np.ndarray, keys: Any, first: Settled, nearest: np.ndarray
) -> Settled:
    """Ends of searches, with answers that are nearer to their rows where there are such.

    Arguments:
        ascent, own: as of `settled`; the ascent has a floor.
        keys: of each search.
        first: how the searches ended.
        nearest: which of them are to have the nearest answer, (M,).
    """
    places = np.flatnonzero(nearest & first.answered & (first.reasons != ALREADY))
    if not len(places):
        return first
    rows, before = own[places], jax.tree.map(lambda leaf: leaf[places], first)
    cells, at = ascent, before.ended.at
    if ascent.generator.density_of == "row" and at.z.shape[1] == own[0].size:
        cells = eqx.tree_at(
            lambda a: a.generator, ascent,
            Identity(ascent.generator.x_shape, ascent.scale, ascent.generator),
        )  # fmt: skip
    cells = eqx.tree_at(lambda a: (a.proximity, a.sparsity), cells, (0.0, 0.0))
    of_codes = cells.generator is ascent.generator
    starts = at.z if of_codes else encoded(cells.generator, at.x)
    aims = encoded(cells.generator, rows)
    found, tries = in_blocks(lambda *of: _ended(cells, *of), starts, aims, rows, keys[places])
    z = found.z if of_codes else encoded(ascent.generator, found.x)
    ended = before.ended._replace(
        at=at._replace(z=z, x=found.x, score=found.score, log_density=found.log_density)
    )
    again = settled(ascent, rows, ended)
    near, far = (distances(ascent, s.ended.at.x, rows) for s in (again, before))
    good = again.answered & (near < far)
    asked = tries * ascent.classifier.queries(starts.shape[1])
    again = again._replace(asked=before.asked, returned=before.returned, margin=before.margin)
    new = first.with_some(places[good], jax.tree.map(lambda leaf: leaf[good], again))
    new.asked[places] += asked
    return new


@kept_jit
def _ended(ascent: Ascent, starts: Any, aims: Any, rows: Any, keys: Any) -> tuple[Point, Any]:
    """The nearest points of a block of rows, and how many were tried."""
    begun = jax.vmap(lambda *of: _begun(ascent, *of))(starts, aims, rows, keys)
    end = jax.lax.while_loop(
        lambda states: ~jnp.all(states.done),
        lambda states: jax.vmap(lambda *of: _advanced(ascent, *of))(states, aims, rows, keys),
        begun,
    )
    return end.at, end.tries


def _begun(
    ascent: Ascent, z: Float[Array, " d"], aim: Float[Array, " d"], x0: Array, key: PRNGKeyArray
) -> _State:
    at = ascent.point(z, x0, key)
    move = _move(ascent, at, aim - z)
    one = jnp.ones((), z.dtype)
    return _State(
        at, ascent.distance(at.x, x0), move, one, z + move, one < 0, jnp.ones((), jnp.int32),
        ~ascent.satisfied(at),
    )  # fmt: skip


def _advanced(
    ascent: Ascent, state: _State, aim: Float[Array, " d"], x0: Array, key: PRNGKeyArray
) -> _State:
    """The same after one try."""
    found = ascent.point(state.trial, x0, jax.random.fold_in(key, state.tries))
    distance = ascent.distance(found.x, x0)
    finite = jnp.isfinite(found.score) & jnp.isfinite(found.log_density)
    finite = finite & jnp.all(jnp.isfinite(found.slope) & jnp.isfinite(found.density_slope))
    satisfied = finite & ascent.satisfied(found)
    taken = satisfied & (distance < state.distance)
    mends = finite & ~satisfied & ~state.mended
    at = jax.tree.map(lambda a, b: jnp.where(taken, a, b), found, state.at)
    share = jnp.where(taken, jnp.minimum(2 * state.share, 1.0), 0.25 * state.share)
    share = jnp.where(mends, state.share, share)
    move = jnp.where(taken, _move(ascent, found, aim - found.z), state.move)
    back = found.z + _move(ascent, found, jnp.zeros_like(found.z))
    trial = jnp.where(mends, back, at.z + share * move)
    slow = taken & (state.distance - distance < _LEAST_GAIN * state.distance)
    tries = state.tries + 1
    done = state.done | slow | (share < _SHORTEST) | (tries >= _MOST_TRIES)
    distance = jnp.where(taken, distance, state.distance)
    new = _State(at, distance, move, share, trial, mends, tries, done)
    return jax.tree.map(lambda old, new: jnp.where(state.done, old, new), state, new)


def _move(ascent: Ascent, at: Point, wish: Float[Array, " d"]) -> Float[Array, " d"]:
    """The nearest w to a wish by which both edges are kept to first order."""
    target, floor = ascent.target, jnp.asarray(ascent.floor, at.z.dtype)
    aims = target.level + _INSIDE[0] * target.tolerance, floor + _INSIDE[1]
    lacking = jnp.stack([aims[0] - at.score, aims[1] - at.log_density])
    slopes = jnp.stack([at.slope, at.density_slope])
    gram = slopes @ slopes.T
    lacking = lacking - slopes @ wish
    alone = jnp.maximum(lacking, 0) / jnp.maximum(jnp.diag(gram), _TINY)
    det = gram[0, 0] * gram[1, 1] - gram[0, 1] ** 2
    both = jnp.stack([
        gram[1, 1] * lacking[0] - gram[0, 1] * lacking[1],
        gram[0, 0] * lacking[1] - gram[0, 1] * lacking[0],
    ]) / jnp.maximum(det, _TINY)  # fmt: skip
    none, eye = jnp.zeros((1, 2), wish.dtype), jnp.eye(2, dtype=wish.dtype)
    multipliers = jnp.concatenate([none, alone * eye, jnp.maximum(both, 0)[None]])
    left = lacking - multipliers @ gram
    holds = jnp.all(left <= 1e-4 * (1 + jnp.abs(lacking)), axis=1)
    costs = jnp.einsum("ij,jk,ik->i", multipliers, gram, multipliers)
    chosen = jnp.where(jnp.any(holds), jnp.argmin(jnp.where(holds, costs, jnp.inf)), 3)
    return wish + multipliers[chosen] @ slopes
