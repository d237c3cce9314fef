"""The way back from known rows, where ascent has found no answer above the floor, or a farther one.

    x_k, k = 1, 2, ...      the nearest of the known rows that reach the level and the floor, once the
                            cells that must stay are those of the row
    z(t) = z_0 + t (e(x_k) - z_0),      x(t) = g(z(t)) in the box and on its grids

The answer is the nearest x(t) to the row, in the scale of the search, that satisfies all of what is
asked: ascent stops at the local maxima of what it raises, and between cells of a grid; this does not.
It takes the place of an answer that is farther; fewer known rows are tried where there is one.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core.compiling import kept_jit
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.judged import densities, encoded, in_blocks, mapped, outputs_of, scores_of
from taut.counterfactuals.result import ALREADY, REACHED
from taut.counterfactuals.settled import Settled, distances

__all__ = ["from_known_rows"]

_ROUNDS = (16, 112, 896)  # known rows that are tried for a row, the nearest first
_DISTANCES, _ROWS = 2**20, 1024  # at a time
_LINES, _PARTS = 4, 16  # known rows that a way leads back from, and points on each


class _Points(NamedTuple):
    """Points as they would be returned, with a leading axis."""

    x: np.ndarray
    log_density: np.ndarray
    outputs: np.ndarray
    scores: np.ndarray
    good: np.ndarray


def from_known_rows(
    ascent: Ascent,
    own: np.ndarray,
    starts: np.ndarray,
    known: np.ndarray,
    first: Settled,
    nearest: np.ndarray,
) -> Settled:
    """Ends of searches, with answers on the way back from known rows where there was none as near.

    Arguments:
        ascent, own: as of `settled`.
        starts: codes that the ways lead back to, (M, d).
        known: rows that may be answers, (R, *shape).
        first: how the searches ended.
        nearest: which of them are to have the nearest answer, also where they have one, (M,).
    """
    outputs = mapped(lambda v: outputs_of(ascent.classifier, v), known)
    known = known[np.asarray(scores_of(ascent.target, jnp.asarray(outputs))) >= ascent.target.level]
    places = np.flatnonzero(~first.answered | nearest & (first.reasons != ALREADY)).tolist()
    if not len(known) or not len(places):
        return first
    ends, asked = _ends(ascent, own, places, known, first.answered)
    first = first._replace(asked=first.asked + asked)
    found = np.array([place for place in places if len(ends[place])], int)
    if not len(found):
        return first
    parts = np.arange(1, _PARTS + 1, dtype=starts.dtype)[:, None] / _PARTS
    ways = [starts[p] + parts * (ends[p][:, None] - starts[p]) for p in found]
    lines = np.concatenate([way.reshape(-1, starts.shape[1]) for way in ways])
    counts = np.array([way.shape[0] * way.shape[1] for way in ways])
    rows = np.repeat(own[found], counts, axis=0)
    points = _points(ascent, lines, rows)
    distance = np.where(points.good, distances(ascent, points.x, rows), np.inf)
    offsets = np.cumsum([0, *counts])[:-1]
    best = np.array(
        [o + distance[o : o + n].argmin() for o, n in zip(offsets, counts, strict=True)], int
    )
    so_far = distances(ascent, first.ended.at.x[found], own[found])
    reached = distance[best] < np.where(first.answered[found], so_far, np.inf)
    best, found, counts = best[reached], found[reached], counts[reached]
    before = jax.tree.map(lambda leaf: leaf[found], first)
    at = before.ended.at._replace(
        z=lines[best], x=points.x[best], score=points.scores[best],
        log_density=points.log_density[best],
    )  # fmt: skip
    new = Settled(
        before.ended._replace(at=at), points.outputs[best], points.scores[best],
        np.full(len(best), REACHED, first.reasons.dtype), before.asked + counts,
        np.ones(len(best), bool), before.margin,
    )  # fmt: skip
    return first.with_some(found, new)


def _ends(
    ascent: Ascent,
    own: np.ndarray,
    places: list[int],
    known: np.ndarray,
    answered: np.ndarray,
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Codes of the nearest known rows that are answers to each of some rows, (n, d) with n up to
    `_LINES`, and how often the classifier was asked about them for each of all rows."""
    order = dict(zip(places, _nearest(ascent, own[places], known, sum(_ROUNDS)), strict=True))
    found = {p: np.empty((0, 0)) for p in places}
    asked, first, waiting = np.zeros(len(own), int), 0, places
    for count in _ROUNDS:
        waiting = [
            p
            for p in waiting
            if not (len(found[p]) or (first and answered[p])) and first < len(order[p])
        ]
        if not waiting:
            break
        numbers = [order[p][first : first + count] for p in waiting]
        rows = np.repeat(own[waiting], [len(n) for n in numbers], axis=0)
        x = _held(ascent, known[np.concatenate(numbers)], rows)
        z = encoded(ascent.generator, x)
        good = _points(ascent, z, rows).good
        offset = 0
        for place, tried in zip(waiting, numbers, strict=True):
            inside = slice(offset, offset + len(tried))
            found[place] = z[inside][good[inside]][:_LINES]
            asked[place] += len(tried)
            offset += len(tried)
        first += count
    return found, asked


def _nearest(
    ascent: Ascent, rows: np.ndarray, known: np.ndarray, most: int
) -> Iterator[np.ndarray]:
    """For each row the numbers of known ones by their distance, once they keep to its box."""
    width = 1 << (len(known) - 1).bit_length()  # so that numbers of known rows share programs
    height = min(max(1, _DISTANCES // width), _ROWS)
    known_block = _block_of(known, width)
    for start in range(0, len(rows), height):
        block = rows[start : start + height]
        found = np.asarray(_held_distances(ascent, known_block, _block_of(block, height)))
        for distance in found[: len(block), : len(known)]:
            if most < len(distance):
                numbers = np.argpartition(distance, most)[:most]
                yield numbers[np.argsort(distance[numbers], kind="stable")]
            else:
                yield np.argsort(distance, kind="stable")


def _block_of(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows, filled up with the last one."""
    return rows[np.minimum(np.arange(size), len(rows) - 1)]


@kept_jit
def _held_distances(
    ascent: Ascent, known: Float[Array, "R *shape"], rows: Float[Array, "B *shape"]
) -> Float[Array, "B R"]:
    """Squared distances of the nearest points in the boxes of rows from these."""

    def of(row: Array) -> Array:
        own = jnp.broadcast_to(row, known.shape)
        return jax.vmap(ascent.distance)(_clipped(ascent, known, own), own)

    return jax.lax.map(of, rows)


def _held(ascent: Ascent, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The nearest points in the boxes of rows."""
    return np.asarray(_clipped(ascent, jnp.asarray(x), jnp.asarray(rows)))


def _clipped(ascent: Ascent, x: Array, rows: Array) -> Array:
    return x if ascent.box is None else ascent.box.clip(x, rows)


def _points(ascent: Ascent, z: np.ndarray, rows: np.ndarray) -> _Points:
    """What the codes of answers to rows would be returned as, and whether they satisfy all."""
    return in_blocks(lambda z, rows: _block(ascent, z, rows), z, rows)


def _block(ascent: Ascent, z: np.ndarray, rows: np.ndarray) -> _Points:
    x, density = map(np.asarray, _decode(ascent, z, rows))
    box, good = ascent.box, np.ones(len(x), bool)
    if box is not None and box.repairs:
        x = box.repaired(x, rows)
        by_row = ascent.generator.density_of == "row"
        density = densities(ascent.generator, x) if by_row else density
    if box is not None:
        good = ~box.violated(x, rows)
    outputs = mapped(lambda v: outputs_of(ascent.classifier, v), x)
    scores = np.asarray(scores_of(ascent.target, jnp.asarray(outputs)))
    good &= scores >= ascent.target.level
    return _Points(x, density, outputs, scores, good & (density >= np.asarray(ascent.floor)))


@kept_jit
def _decode(ascent: Ascent, z: Any, rows: Any) -> Any:
    return jax.vmap(ascent.decoded)(z, rows)
