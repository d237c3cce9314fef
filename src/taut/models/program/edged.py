"""A program some of whose latents end where other latents decide: these coordinates start at the edge.

    s_k(z) >= 0          for every observed value: how far it lies inside a bound of its support
    z_i = b_i(z) + sign_i e(w_i) c_i,        b_i(z) the z_i at which the least of the s_k of i is 0

x ~ Uniform(m - h, m + h) leaves no room for h below the largest |x - m|: b_h moves with m. Each s_k
belongs to one coordinate, in which it is monotone; others are free. b_i is found by bisection, and its
gradient by the implicit function theorem; second derivatives of b are left out. The map is triangular:

    log |det dz/dw| = sum_i log c_i + log e'(w_i),        e as in `inner`
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import LOG_VOLUME, Datum, Terms
from taut.core.compiling import shared_jit
from taut.models.program.abstract import AbstractProgram
from taut.models.program.inner import AbstractInner, log_slope, normal, unit_exponential

__all__ = ["Edge", "Edged", "plan_edges"]

_HALVINGS = 80
_REACH = 18.0  # z on [-sinh 18, sinh 18], about 3e7
_POINTS = 8


class Edge(NamedTuple):
    """Where one coordinate ends.

    Attributes:
        coordinate: i.
        cells: which margins are its own.
        sign: 1.0 where it ends from below, -1.0 where from above.
    """

    coordinate: int
    cells: tuple[int, ...]
    sign: float


class Edged(AbstractInner):
    """p(x, w) with every w in R^d inside of the edges.

    Attributes:
        program: p(x, z) of all rows, with margins.
        edges: in an order in which none moves with a later one.
        held: the data that the margins are of.
        scale: c, (len(edges),).
    """

    program: AbstractProgram
    edges: tuple[Edge, ...] = eqx.field(static=True)
    held: Datum
    scale: Float[Array, " E"]

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        terms = self.program.terms(datum, self.inner(z))
        w = z[np.array([edge.coordinate for edge in self.edges])]
        slopes = jnp.log(self.scale) + log_slope(w)
        return {**terms, LOG_VOLUME: terms[LOG_VOLUME] + slopes.sum()}

    def unconstrain(self, values: dict[str, Any]) -> Float[Array, " d"]:
        z = self.program.unconstrain(values)
        w = z
        for edge, scale in zip(self.edges, self.scale, strict=True):
            step = edge.sign * (z[edge.coordinate] - self._bound(z, edge)) / scale
            w = w.at[edge.coordinate].set(normal(step))
        return w

    def inner(self, w: Float[Array, " d"]) -> Float[Array, " d"]:
        z = w
        for edge, scale in zip(self.edges, self.scale, strict=True):
            step = scale * unit_exponential(w[edge.coordinate])
            z = z.at[edge.coordinate].set(self._bound(z, edge) + edge.sign * step)
        return z

    def _bound(self, z: Float[Array, " d"], edge: Edge) -> Float[Array, ""]:
        """The value of a coordinate at which the least of its margins is zero, given the others."""
        cells = np.array(edge.cells)

        def least(t: Array, z: Array) -> Array:
            return self.program.margins(self.held, z.at[edge.coordinate].set(t))[cells].min()

        fixed = jax.lax.stop_gradient(z)

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            out, inside = ends
            middle = (out + inside) / 2
            is_in = least(edge.sign * jnp.sinh(middle), fixed) >= 0
            return jnp.where(is_in, out, middle), jnp.where(is_in, middle, inside)

        first = (jnp.asarray(-_REACH, z.dtype), jnp.asarray(_REACH, z.dtype))
        _, inside = jax.lax.fori_loop(0, _HALVINGS, halve, first)
        at = jax.lax.stop_gradient(edge.sign * jnp.sinh(inside))
        slope = jax.lax.stop_gradient(jax.grad(least)(at, fixed))
        margin = least(at, z)
        return at - (margin - jax.lax.stop_gradient(margin)) / slope


def plan_edges(
    program: AbstractProgram, datum: Datum, generator: np.random.Generator
) -> tuple[Edge, ...] | None:
    """Which coordinates end where, so that every margin belongs to one of them; None where none suit.

    Arguments:
        program: with margins.
        datum: its data.
        generator: of the points at which the margins are differentiated.
    """
    points = generator.uniform(-2.0, 2.0, (_POINTS, program.dim))
    slopes = np.asarray(
        shared_jit(jax.vmap(jax.jacobian(lambda z: program.margins(datum, z))))(jnp.asarray(points))
    )
    if not slopes.shape[1] or not np.isfinite(slopes).all():
        return None
    signs = np.sign(slopes)  # point, margin, coordinate
    steady = (signs == signs[:1]).all(axis=0)
    sign, touched = np.where(steady, signs[0], 0.0), (signs != 0).any(axis=0)
    left, chosen = touched.any(axis=1), []
    while left.any():
        best: tuple[int, int, float] = (0, -1, 0.0)
        for coordinate in range(program.dim):
            own = sign[left, coordinate]
            for direction in (1.0, -1.0):
                # Beside margins of the other direction a coordinate would need room between the two.
                alone = not (touched[left, coordinate] & (own != direction)).any()
                count = int((own == direction).sum()) if alone else 0
                if count > best[0]:
                    best = (count, coordinate, direction)
        count, coordinate, direction = best
        if not count:
            return None
        cells = np.flatnonzero(left & (sign[:, coordinate] == direction))
        chosen.append(Edge(coordinate, tuple(int(k) for k in cells), direction))
        left[cells] = False
    return _ordered(chosen, touched)


def _ordered(edges: list[Edge], touched: np.ndarray) -> tuple[Edge, ...] | None:
    """The edges in an order in which none moves with a later one; None where there is no such order."""
    ordered: list[Edge] = []
    while edges:
        for edge in edges:
            others = [other.coordinate for other in edges if other is not edge]
            if not touched[np.array(edge.cells)][:, others].any():
                break
        else:
            return None
        ordered.append(edge)
        edges = [other for other in edges if other is not edge]
    return tuple(ordered)
