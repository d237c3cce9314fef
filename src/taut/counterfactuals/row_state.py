"""What an ascent knows of one row: where it is, what it raises, and how it came there.

The phases are those of `taut.counterfactuals.ascent`.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

__all__ = [
    "CLIMBING",
    "DONE",
    "PLACED",
    "RETURNING",
    "RISING",
    "Point",
    "RowState",
    "is_done",
    "with_rows",
]

PLACED, RISING, CLIMBING, RETURNING, DONE = range(5)


class Point(NamedTuple):
    """What is known at one z.

    Attributes:
        z, x: latent, and row in the data's units.
        score: s.
        value: s, or its mean about z for a black box, less penalties.
        log_density: as the generator gives it, nats.
        slope: of `value` by z.
        density_slope: of `log_density` by z; 0 where there is no floor.
    """

    z: Float[Array, " d"]
    x: Array
    score: Float[Array, ""]
    value: Float[Array, ""]
    log_density: Float[Array, ""]
    slope: Float[Array, " d"]
    density_slope: Float[Array, " d"]


class RowState(NamedTuple):
    """One row on its way.

    Attributes:
        x0: the row.
        at: where it is; where it is done, the answer or the best attempt.
        low: the last z that does not satisfy what is asked, in bisection.
        direction, memory: of the next step, by the geometry.
        step: lambda.
        reference, mass: mean of what is raised over the last points, and its weight.
        wanted: what s must reach, at least the target's level.
        bound: least log-density of a point on the way, nats: the floor, or the row's own below it;
            -inf without a floor, and where there is no way within it.
        phase: placed, rising, climbing, returning or done.
        blocked: whether the way leads along an edge, beyond which s would fall below `wanted`, or log p
            below `bound`.
        misses: tries since a step was taken.
        forced: steps of a set length that were taken.
        best, idle: the highest s - penalties so far, and tries since it last rose by what counts.
        tries: steps tried.
        halvings: bisections made.
        drift: see the module.
        key: of the row.
    """

    x0: Array
    at: Point
    low: Float[Array, " d"]
    direction: Float[Array, " d"]
    memory: Any
    step: Float[Array, ""]
    reference: Float[Array, ""]
    mass: Float[Array, ""]
    wanted: Float[Array, ""]
    bound: Float[Array, ""]
    phase: Int[Array, ""]
    blocked: Bool[Array, ""]
    misses: Int[Array, ""]
    forced: Int[Array, ""]
    best: Float[Array, ""]
    idle: Int[Array, ""]
    tries: Int[Array, ""]
    halvings: Int[Array, ""]
    drift: Float[Array, ""]
    key: PRNGKeyArray


def is_done(states: RowState) -> Bool[Array, " B"]:
    """Which rows of a batch have ended."""
    return states.phase == DONE


def with_rows(rows: Any, places: Int[np.ndarray, " M"], other: Any) -> Any:
    """A pytree of arrays over rows, with those at these places from another one of M rows."""

    def put(leaf: Any, new: Any) -> np.ndarray:
        leaf = np.array(leaf)
        leaf[places] = new
        return leaf

    return jax.tree.map(put, rows, other)
