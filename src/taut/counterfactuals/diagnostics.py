"""Diagnostics of answers: what the map does where a row moved, and what the move was made of.

    J = U S V^T at a row's code          singular spectrum, effective dimension (sum S^2)^2 / sum S^4
    dx = (U_t U_t^T) dx + rest           tangent and normal part of every step and of the whole path
    |g(z + l d) - g(z) - l J d|          the residual of a plain step d = J^T grad s, whose log-log slope
                                         is 2 where the first-order statement holds
    |g(e(x)) - x|                        what the encoder loses, which is no part of an answer

A way is the ascent that led to the answer, or from a row's code straight to that of an answer that was
found on the way back from a known row; its last point is the answer as it was returned, drawn nearer
and rounded.

Tangent are the directions whose singular value is at least a tenth of the largest: with as many latents
as cells every direction has one. Beyond 256 latents the spectrum is that of the 32 largest, by subspace
iteration with J and J^T alone.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from taut.core import check_count
from taut.core.compiling import kept_jit
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.pool import steps_of
from taut.counterfactuals.result import Counterfactuals

__all__ = ["Path", "diagnose"]

_TANGENT = 0.1  # of the largest singular value
_MOST_LATENTS, _LARGEST, _SWEEPS = 256, 32, 12
_PARTS = np.linspace(0, 1, 17)  # of a straight way
_LENGTHS = 10.0 ** np.linspace(-1.5, -4.0, 6)  # of steps in latent space


@dataclass(frozen=True, eq=False)
class Path:
    """One row's way to its first answer.

    Attributes:
        row: its number among the rows that were searched.
        x: points, (T, *shape), the reconstruction first and the answer last.
        scores: of the target, (T,).
        log_density: nats, (T,); None where it is not known.
        quantiles: of these among reference rows, (T,); None without reference rows.
        singular_values: of J at the row's code, largest first.
        effective_dimension: see the module.
        tangent, normal: lengths of both parts of every step, (T - 1,).
        path_tangent, path_normal: of the way from first to last point, at the row's code.
        residual_slope: of a plain step at the row's code.
        round_trip: |g(e(x)) - x| in the scale of the search.
    """

    row: int
    x: np.ndarray
    scores: np.ndarray
    log_density: np.ndarray | None
    quantiles: np.ndarray | None
    singular_values: np.ndarray
    effective_dimension: float
    tangent: np.ndarray
    normal: np.ndarray
    path_tangent: float
    path_normal: float
    residual_slope: float
    round_trip: float

    def to_dict(self) -> dict[str, Any]:
        """Numbers as JSON holds them, without the points."""
        plain = {
            name: None if value is None else np.asarray(value, np.float64).tolist()
            for name, value in vars(self).items()
            if name not in ("x", "row")
        }
        return {"row": self.row, **plain}


class _Way(NamedTuple):
    """Points of a row's way; attributes are those of `Point`, with a leading axis."""

    z: np.ndarray
    x: np.ndarray
    score: np.ndarray
    log_density: np.ndarray


def diagnose(
    found: Counterfactuals, *, rows: int = 8, reference: np.ndarray | None = None
) -> tuple[Path, ...]:
    """The ways of the first rows of a search, walked again point by point.

    Arguments:
        found: what `search` returned.
        rows: how many.
        reference: log-densities of held-out rows, nats, (M,), among which those of a path are placed.
    """
    rows = check_count(rows, "at least one row", "8", where="rows")
    count = min(rows, len(found))
    ascent, double = found.ascent, found.z0.dtype == np.float64
    ways: dict[int, _Way] = {}
    straight, margin = found.returned[:count, 0], found.margin[:count, 0]
    with jax.enable_x64(double):
        for further in np.unique(margin[~straight]):
            asked = eqx.tree_at(lambda a: a.margin, ascent, jnp.asarray(further, found.z0.dtype))
            states = steps_of(asked, found.x[:count], found.z0[:count], found.keys[:count])
            points = [jax.tree.map(np.asarray, state.at) for state in states]
            for row in np.flatnonzero(~straight & (margin == further)).tolist():
                ways[row] = _ended(found, row, *(
                    np.stack([getattr(point, name)[row] for point in points])
                    for name in _Way._fields
                ))  # fmt: skip
        for row in np.flatnonzero(straight).tolist():
            along = found.z0[row] + _PARTS[:, None] * (found.z[row, 0] - found.z0[row])
            at = _points(ascent, along.astype(found.z0.dtype), found.x[row], found.keys[row])
            ways[row] = _ended(
                found, row, *(np.asarray(getattr(at, name)) for name in _Way._fields)
            )
    return tuple(_path(found, ascent, ways[row], row, reference) for row in range(count))


def _ended(
    found: Counterfactuals, row: int, z: np.ndarray, x: np.ndarray, *numbers: np.ndarray
) -> _Way:
    """The points of a way that differ, with the answer at its end."""
    kept = np.flatnonzero(np.append(True, (z[1:] != z[:-1]).any(axis=1)))
    way = _Way(z[kept], x[kept], *(number[kept] for number in numbers))
    answer, density = found.answers[row, 0], found.log_density
    if np.array_equal(way.x[-1], answer):
        return way
    end = _Way(
        found.z[row, 0], answer, found.scores[2][row, 0],
        np.zeros_like(way.log_density[0]) if density is None else density[1][row, 0],
    )  # fmt: skip
    return _Way(
        *(np.concatenate([points, point[None]]) for points, point in zip(way, end, strict=True))
    )


@kept_jit
def _points(ascent: Ascent, z: Any, x0: Any, key: Any) -> Any:
    return jax.vmap(lambda z: ascent.point(z, jnp.asarray(x0), key))(jnp.asarray(z))


def _path(
    found: Counterfactuals,
    ascent: Ascent,
    way: _Way,
    row: int,
    reference: np.ndarray | None,
) -> Path:
    z, x, scores, density = way
    with jax.enable_x64(True):
        exact = jax.tree.map(
            lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a, ascent
        )
        x0 = jnp.asarray(found.x[row], jnp.float64)
        frames = [_frame(exact, x0, jnp.asarray(at, jnp.float64)) for at in z[: max(len(z) - 1, 1)]]
        slope = _residual_slope(exact, x0, z[0], found.keys[row])
    moves = np.diff(x, axis=0).reshape(len(x) - 1, x[0].size)
    parts = np.array([_parts(move, *frame) for move, frame in zip(moves, frames, strict=False)])
    parts = parts.reshape(-1, 2)
    whole = _parts((x[-1] - x[0]).ravel(), *frames[0])
    values = frames[0][1]
    known = found.density_of is not None
    placed = None
    if known and reference is not None:
        placed = np.searchsorted(np.sort(reference), density) / len(reference)
    lost = (found.reconstruction[row] - found.x[row]) / np.asarray(ascent.scale)
    return Path(
        row=row, x=x, scores=scores,
        log_density=density if known else None, quantiles=placed, singular_values=values,
        effective_dimension=float(np.sum(values**2) ** 2 / np.sum(values**4)),
        tangent=parts[:, 0], normal=parts[:, 1], path_tangent=whole[0], path_normal=whole[1],
        residual_slope=slope, round_trip=float(np.linalg.norm(lost)),
    )  # fmt: skip


def _parts(move: np.ndarray, directions: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Lengths of the tangent and of the normal part of a move."""
    tangent = directions[:, values >= _TANGENT * values[0]]
    along = tangent @ (tangent.T @ move)
    return float(np.linalg.norm(along)), float(np.linalg.norm(move - along))


def _frame(ascent: Ascent, x0: Array, z: Array) -> tuple[np.ndarray, np.ndarray]:
    """U and S of the Jacobian at z, the largest first."""
    if len(z) <= _MOST_LATENTS:
        u, s, _ = np.linalg.svd(np.asarray(_jacobian(ascent, x0, z)), full_matrices=False)
        return u, s
    start = jnp.asarray(np.random.default_rng(0).normal(size=(len(z), _LARGEST)))
    u, s = _largest(ascent, x0, z, start)
    return np.asarray(u), np.asarray(s)


@kept_jit
def _jacobian(ascent: Ascent, x0: Array, z: Array) -> Array:
    return jax.jacfwd(lambda z: ascent.generator.like(x0).decode(z).ravel())(z)


@kept_jit
def _largest(ascent: Ascent, x0: Array, z: Array, start: Array) -> tuple[Array, Array]:
    """The largest singular values and their directions in x, without J itself."""

    def decode(z: Array) -> Array:
        return ascent.generator.like(x0).decode(z).ravel()

    _, pull = jax.vjp(decode, z)
    push = jax.vmap(lambda v: jax.jvp(decode, (z,), (v,))[1], 1, 1)

    def sweep(_: Any, v: Array) -> Array:
        return jnp.linalg.qr(jax.vmap(lambda u: pull(u)[0], 1, 1)(push(v)))[0]

    v = jax.lax.fori_loop(0, _SWEEPS, sweep, jnp.linalg.qr(start)[0])
    u, s, _ = jnp.linalg.svd(push(v), full_matrices=False)
    return u, s


def _residual_slope(ascent: Ascent, x0: Array, z: np.ndarray, key: Any) -> float:
    residuals = np.asarray(_residuals(ascent, x0, jnp.asarray(z, jnp.float64), key))
    if not (residuals > 1e-14).all():  # a linear map has none
        return float("inf")
    return float(np.polyfit(np.log(_LENGTHS), np.log(residuals), 1)[0])


@kept_jit
def _residuals(ascent: Ascent, x0: Array, z: Array, key: Any) -> Array:
    slope = ascent.point(z, x0, key).slope
    slope = slope / jnp.linalg.norm(slope)
    decode = ascent.generator.like(x0).decode
    x, moved = jax.jvp(decode, (z,), (slope,))
    return jnp.stack(
        [
            jnp.linalg.norm((decode(z + size * slope) - x - size * moved).ravel())
            for size in _LENGTHS
        ]
    )
