"""Edges: where the posterior of a program ends because log p(x, z) is -inf beyond.

From points inside, each coordinate is followed both ways until log p is -inf, and the edge is bisected
to the last bit. An edge found in the same place from every point depends on the data alone; any other
moves with other latents.
"""

from collections.abc import Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import log_ndtr, ndtri

from taut.core import Datum
from taut.core.compiling import shared_jit
from taut.core.lbfgs import lbfgs
from taut.inference.posterior.log_density import LogDensity
from taut.models.program import AbstractProgram, Bounded, Edged, plan_edges

__all__ = ["Edges", "edges_of", "find_edges", "least_outside", "points_inside"]

_SCALES = (2.0, 8.0, 32.0, 128.0)  # half-widths of the boxes in which points inside are looked for
_TRIED = 512  # points in each
_KEPT = 4  # of the points inside
_ROOM = 10.0 ** -np.arange(1, 9)  # that is asked for, of how far a point lies outside
_LED = 200  # evaluations, for each
_DOUBLINGS = 12  # of the step, from a quarter on: how far an edge is looked for
_HALVINGS = 64
# Nats between the points inside and the last finite value: log p fell, and did not end.
_OVERFLOW = 1e8
_SAME = 1e-9
_SWEEPS = 2
_STEPS = 2.0 ** np.linspace(-40, 12, 105)  # distances from an edge


class Edges(NamedTuple):
    """Where the coordinates of z end.

    Attributes:
        low: from below, the last value inside; -inf where nothing ends, (d,).
        high: from above; inf where nothing ends, (d,).
        scale: how far from a fixed edge the mass lies, 1 where nothing ends, (d,).
        moving: coordinates that end where other coordinates decide.
        edged: the program in coordinates that start at the edges that move; None where there is none,
            or no such coordinates are known.
    """

    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    moving: tuple[int, ...]
    edged: Edged | None = None

    @property
    def fixed(self) -> tuple[int, ...]:
        """Coordinates that end where the data alone decide."""
        ends = np.isfinite(self.low) | np.isfinite(self.high)
        return tuple(int(i) for i in np.flatnonzero(ends))

    def within(self, model: AbstractProgram) -> AbstractProgram:
        """The program in coordinates that stay inside the fixed edges."""
        if self.edged is not None:
            return self.edged
        if not self.fixed:
            return model
        return Bounded(model, *map(jnp.asarray, (self.low, self.high, self.scale)))

    def notes(self, model: AbstractProgram) -> tuple[str, ...]:
        """What a reader should know."""
        notes = []
        if self.edged is not None:
            ends = [edge.coordinate for edge in self.edged.edges]
            names = ", ".join(_sites_of(model, ends))
            notes.append(
                f"the data bound {names}, in part where other latents decide: the guide's coordinates "
                "stay within the edge"
            )
            return tuple(notes)
        if self.fixed:
            names = ", ".join(_sites_of(model, self.fixed))
            notes.append(f"the data bound {names}: the guide's coordinates stay within the edge")
        if self.moving:
            names = " and ".join(_sites_of(model, self.moving))
            notes.append(f"the posterior ends at an edge that moves with {names}")
        return tuple(notes)


def edges_of(model: AbstractProgram, datum: Datum, generator: np.random.Generator) -> Edges | None:
    """The edges of a program's posterior; None where no point inside is found."""
    density = LogDensity(model, datum)
    points = points_inside(density, model.dim, generator)
    if not len(points) and model.moving:
        points = _led_inside(model, datum, density, generator)
    found = find_edges(density, points) if len(points) else None
    if found is not None and not found.moving:
        return found
    plan = plan_edges(model, datum, generator)
    if not plan:
        return found
    edged = Edged(model, plan, datum, jnp.ones(len(plan)))
    density = LogDensity(edged, datum)
    points = points_inside(density, model.dim, generator)
    if not len(points):
        return found
    none = np.full(model.dim, np.inf)
    scale = _scales_of_moving(density, points[0], [edge.coordinate for edge in plan])
    moving = tuple(edge.coordinate for edge in plan)
    edged = Edged(model, plan, datum, jnp.asarray(scale))
    return Edges(-none, none, np.ones(model.dim), moving, edged)


def points_inside(
    density: LogDensity, dim: int, generator: np.random.Generator
) -> Float[np.ndarray, "P d"]:
    """The highest of random points with a finite log-density, none where there is none."""
    for scale in _SCALES:
        tried = generator.uniform(-scale, scale, (_TRIED, dim))
        values = density.values(tried)
        inside = np.flatnonzero(np.isfinite(values))
        if len(inside):
            return tried[inside[np.argsort(-values[inside])[:_KEPT]]]
    return np.zeros((0, dim))


def _led_inside(
    model: AbstractProgram, datum: Datum, density: LogDensity, generator: np.random.Generator
) -> Float[np.ndarray, "P d"]:
    """A point inside, none where none is found: at the least squares of the room that margins lack."""

    def lack(z: Array, room: Array) -> Array:
        return -0.5 * jnp.sum(jnp.maximum(1 - model.margins(datum, z) / room, 0.0) ** 2)

    climbed = shared_jit(jax.value_and_grad(lack))
    z = generator.uniform(-_SCALES[0], _SCALES[0], model.dim)
    outside = -np.min(np.asarray(shared_jit(model.margins)(datum, z)), initial=0.0)
    for room in outside * _ROOM:

        def value(z: np.ndarray, room: float = room) -> tuple[float, np.ndarray]:
            found, gradient = climbed(jnp.asarray(z), jnp.asarray(room))
            return float(found), np.asarray(gradient)

        z = lbfgs(value, z, tolerance=1e-6, max_steps=_LED).point
        if np.isfinite(density.values(z[None])).all():
            return z[None]
    return np.zeros((0, model.dim))


def least_outside(
    model: AbstractProgram, datum: Datum, generator: np.random.Generator
) -> Float[np.ndarray, " d"]:
    """Of random points the one at which the fewest observed values lie outside of their supports."""

    def outside(z: Array) -> Array:
        parts = model.parts(datum, z).values()
        return sum((jnp.sum(~p.supported) for p in parts if p.supported is not None), jnp.zeros(()))

    tried = generator.uniform(-_SCALES[1], _SCALES[1], (_TRIED, model.dim))
    return tried[np.argmin(shared_jit(jax.vmap(outside))(tried))]


def find_edges(density: LogDensity, points: Float[np.ndarray, "P d"]) -> Edges:
    """The edges around points inside.

    Arguments:
        density: log p(x, z).
        points: with a finite log-density.
    """
    count, dim = points.shape
    start = density.values(points)
    # Axes: point, coordinate, side.
    inside, outside = np.zeros((count, dim, 2)), np.full((count, dim, 2), np.inf)
    last = np.broadcast_to(start[:, None, None], inside.shape).copy()

    def follow(step: np.ndarray, chosen: np.ndarray) -> None:
        point, coordinate, side = np.nonzero(chosen)
        if not len(point):
            return
        z = points[point].copy()
        z[np.arange(len(z)), coordinate] += np.where(side == 0, -1.0, 1.0) * step[chosen]
        values = density.values(z)
        ended = np.isneginf(values)
        where = (point, coordinate, side)
        outside[where] = np.where(ended, step[chosen], outside[where])
        inside[where] = np.where(ended, inside[where], step[chosen])
        last[where] = np.where(ended, last[where], values)

    for doubling in range(_DOUBLINGS):
        follow(np.full(inside.shape, 0.25 * 2.0**doubling), np.isinf(outside))
    ends = np.isfinite(outside)
    for _ in range(_HALVINGS):
        follow((inside + np.where(ends, outside, inside)) / 2, ends)
    ends &= last > start[:, None, None] - _OVERFLOW
    at = points[:, :, None] + inside * np.array([-1.0, 1.0])
    found, everywhere = ends.any(axis=0), ends.all(axis=0)
    spread = np.ptp(at, axis=0) <= _SAME * (1 + np.abs(at).max(axis=0))
    fixed = everywhere & spread
    low = np.where(fixed[:, 0], at[:, :, 0].max(axis=0), -np.inf)
    high = np.where(fixed[:, 1], at[:, :, 1].min(axis=0), np.inf)
    moving = np.flatnonzero((found & ~fixed).any(axis=1))
    scale = _scales(density, points[0], low, high)
    return Edges(low, high, scale, tuple(int(i) for i in moving))


def _scales(
    density: LogDensity, point: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Float[np.ndarray, " d"]:
    """Mean distances from the edges, each along its coordinate with the others where they are found.

    For an exponential decay behind the edge that is its length.
    """
    point, scale, steps = point.copy(), np.ones(len(point)), _STEPS
    for _ in range(_SWEEPS):
        for i in np.flatnonzero(np.isfinite(low) ^ np.isfinite(high)):
            z = np.repeat(point[None], len(steps), axis=0)
            z[:, i] = low[i] + steps if np.isfinite(low[i]) else high[i] - steps
            scale[i] = _mean_step(density.values(z), steps)
            point[i] = low[i] + scale[i] if np.isfinite(low[i]) else high[i] - scale[i]
    return scale


def _scales_of_moving(
    density: LogDensity, point: np.ndarray, coordinates: Collection[int]
) -> Float[np.ndarray, " E"]:
    """The same for edges that move, of a program in coordinates with unit scales."""
    point, scale, steps = point.copy(), np.ones(len(coordinates)), _STEPS
    w = np.where(steps < 0.5, ndtri(-np.expm1(-steps)), -ndtri(np.exp(-steps)))
    w, steps = w[np.isfinite(w)], steps[np.isfinite(w)]
    volume = -0.5 * w**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-w)
    for _ in range(_SWEEPS):
        for number, i in enumerate(coordinates):
            along = np.repeat(point[None], len(steps), axis=0)
            along[:, i] = w
            scale[number] = _mean_step(density.values(along) - volume, steps)
            point[i] = np.interp(scale[number], steps, w)
    return scale


def _mean_step(values: np.ndarray, steps: np.ndarray) -> float:
    """The mean of steps that are evenly spaced on a logarithmic scale, under a log-density of them."""
    values = np.where(np.isfinite(values), values, -np.inf)
    mass = np.exp(values - values.max()) * steps
    return float((mass * steps).sum() / mass.sum())


def _sites_of(model: AbstractProgram, coordinates: Collection[int]) -> list[str]:
    places = model.layout.parts(jnp.arange(model.dim, dtype=float))
    return [n for n, part in places.items() if set(np.ravel(part).tolist()) & set(coordinates)]
