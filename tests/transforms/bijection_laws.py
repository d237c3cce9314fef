"""Laws of bijections: both directions, their volumes, first and second derivatives, mass.

Each law raises AssertionError; the planted mistakes show that it does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from bijection_records import Massive, Record, moved
from known_models import trapezoid
from layer_laws import refuse_idle

from taut.core import total
from taut.transforms import Chain

TOLERANCE = 1e-9  # float64: round trips, log-determinants, sums
POINTS = 4
STEP = 1e-3  # of central differences: they err by its square, and by rounding over it
PLACES = (-2, -1, 0, 1, 2)  # along a line, in steps

Change = Callable[[Any], Any]


def same(layer: Any) -> Any:
    return layer


def made(layer: Callable[[Any], Any]) -> Any:
    """By one compiled program, which is faster than compiling each of its operations."""
    return eqx.filter_jit(layer)(jax.random.key(0))


class Case(NamedTuple):
    """A layer and where it is looked at.

    Attributes:
        start: its parameters where it starts.
        moved: its parameters elsewhere.
        points: an x and a z for each condition, (n, ...).
        conditions: (n, ...), or None.
        fixed: leaves that are not learned, by name.
        directions: from parameters to encoding and decoding.
    """

    start: Any
    moved: Any
    points: tuple[Any, Any]
    conditions: Any
    fixed: tuple[str, ...]
    directions: Callable[[Any], tuple[Any, Any]]


def case(record: Record, change: Change = same) -> Case:
    """With `change` from the layer to what is looked at instead of it."""
    layer = made(record.layer)
    start, rest = eqx.partition(layer, eqx.is_inexact_array)
    rng = np.random.default_rng(2)

    def normal(size: tuple[int, ...]) -> np.ndarray:
        return rng.normal(size=size).astype(np.float32).astype(np.float64)

    x = record.support(normal((POINTS, *layer.x_shape)))
    z = record.latent(normal((POINTS, *layer.z_shape)))
    shape = layer.condition_shape
    c = None if shape is None else normal((POINTS, *shape))

    def directions(arrays: Any) -> tuple[Any, Any]:
        layer = change(eqx.combine(arrays, rest))
        return layer.encode_and_log_det, layer.decode_and_log_det

    return Case(start, moved(start), (x, z), c, record.fixed, directions)


class Side(NamedTuple):
    """What one direction makes of a few points.

    Attributes:
        points: x where it encodes, z where it decodes, (n, ...).
        out: images, (n, ...).
        log_det: (n,).
        back: what the other direction makes of the images, (n, ...).
        back_log_det: (n,).
        jacobian: of the images by the points, (n, size, size).
        slopes: derivative of images and log-determinant along a line of parameters and points, at five
            places of it, (n, 5, size + 1).
        curvature: the second derivative in its middle, (n, size + 1).
    """

    points: Any
    out: Any
    log_det: Any
    back: Any
    back_log_det: Any
    jacobian: Any
    slopes: Any
    curvature: Any


def both_sides(case: Case) -> tuple[Side, Side]:
    """Encoding and decoding, each in one compiled program: derivatives along lines in forward mode."""
    encode, decode = (_along_lines(case, direction) for direction in (0, 1))
    x, z = case.points
    return _side(case, encode, decode, x), _side(case, decode, encode, z)


def _along_lines(case: Case, direction: int) -> Callable[..., Any]:
    def along(arrays: Any, v: Any, c: Any, line: Any) -> Any:
        def there(arrays: Any, v: Any) -> Any:
            return case.directions(arrays)[direction](v, c)

        def slope(*place: Any) -> Any:
            return jax.jvp(there, place, line)

        (value, first), (_, second) = jax.jvp(slope, (arrays, v), line)
        return value, _row(first), _row(second)

    return jax.jit(jax.vmap(along))


def _row(pair: Any) -> Any:
    return jnp.append(pair[0].reshape(-1), pair[1])


def _side(case: Case, there: Any, back: Any, points: Any) -> Side:
    """At each point: a line along each of its coordinates, then five places on one line of all."""
    n, size = POINTS, points[0].size
    rng = np.random.default_rng(3)
    still = jax.tree.map(np.zeros_like, case.moved)
    lines = rng.normal(size=points.shape)
    line = jax.tree_util.tree_map_with_path(
        lambda path, a: rng.normal(size=a.shape) * (_name(path) not in case.fixed), case.moved
    )
    per_point = []
    for i in range(n):
        for e in np.eye(size):
            per_point.append((case.moved, points[i], i, (still, e.reshape(points[i].shape))))
        for k in PLACES:
            arrays = jax.tree.map(lambda a, d, k=k: a + k * STEP * d, case.moved, line)
            per_point.append((arrays, points[i] + k * STEP * lines[i], i, (line, lines[i])))
    arrays, v, which, line = jax.tree.map(lambda *leaves: np.stack(leaves), *per_point)
    c = None if case.conditions is None else case.conditions[which]
    (out, log_det), first, second = there(arrays, v, c, line)
    (again, again_log_det), _, _ = back(arrays, out, c, (line[0], line[1].reshape(out.shape)))
    found = map(np.asarray, (out, log_det, again, again_log_det, first, second))
    *values, first, second = (a.reshape(n, size + 5, *a.shape[1:]) for a in found)
    jacobian = first[:, :size, :-1].transpose(0, 2, 1)
    return Side(points, *(a[:, 0] for a in values), jacobian, first[:, size:], second[:, size + 2])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path).lstrip(".")


def directions_undo_each_other(side: Side) -> None:
    np.testing.assert_allclose(side.back, side.points, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(side.back_log_det, -side.log_det, rtol=0, atol=TOLERANCE)


def log_det_is_that_of_autodiff(side: Side) -> None:
    by_autodiff = np.linalg.slogdet(np.asarray(side.jacobian))[1]
    np.testing.assert_allclose(side.log_det, by_autodiff, rtol=0, atol=TOLERANCE)


def second_derivatives_are_those_of_the_first(side: Side) -> None:
    """Against central differences, whose error of second order is seen from a step twice as long."""
    far, near = ((side.slopes[:, 2 + k] - side.slopes[:, 2 - k]) / (2 * k * STEP) for k in (2, 1))
    error = np.abs(far - near).max() + TOLERANCE  # three times that of `near`
    gap = np.abs(side.curvature - near).max()
    assert gap < error, (gap, error)


def every_parameter_has_a_gradient(case: Case) -> None:
    """Where the layer starts, through the density of data and through draws; fixed ones have none."""
    x, z = case.points

    def density(arrays: Any) -> Any:
        latent, log_det = jax.vmap(case.directions(arrays)[0])(x, case.conditions)
        return jnp.sum(log_det) - 0.5 * jnp.sum(latent**2)

    def draws(arrays: Any) -> Any:
        out, log_det = jax.vmap(case.directions(arrays)[1])(z, case.conditions)
        return jnp.sum(log_det) + jnp.sum(jnp.sin(3 * out))

    gradients = jax.jit(lambda arrays: (jax.grad(density)(arrays), jax.grad(draws)(arrays)))
    for gradient in gradients(case.start):
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
            if _name(path) in case.fixed:
                assert np.all(leaf == 0), path
            else:
                refuse_idle({_name(path): leaf})


def loss_in_float32(case: Case, sides: tuple[Side, Side]) -> float:
    """The largest difference to float64 of images and log-determinants, relative to their size."""

    @jax.jit
    def both(arrays: Any, x: Any, z: Any, c: Any) -> Any:
        encode, decode = case.directions(arrays)
        return jax.vmap(encode)(x, c), jax.vmap(decode)(z, c)

    wide = (case.moved, *case.points, case.conditions)
    with jax.enable_x64(False):
        rounded = both(*jax.tree.map(lambda a: np.asarray(a, np.float32), wide))
    losses = []
    for a, b in zip(rounded, sides, strict=True):
        for narrow, wide in zip(a, (b.out, b.log_det), strict=True):
            assert narrow.dtype == jnp.float32
            gap = np.abs(np.asarray(narrow, np.float64) - wide) / np.maximum(1, np.abs(wide))
            losses.append(gap.max())
    return float(max(losses))


def mass_is_one(massive: Massive, change: Change = same) -> None:
    """By a trapezoid on a grid.

    Where the density p has jumps of its slope, a cell of width h errs by at most h^2 / 8 times the
    variation of p' in it (Peano's kernel of the rule is at most h^2 / 8). Over rows of a plane, then
    over their sums, that is

        h^2 / 8 (h sum over x_0 of the variation of dp/dx_1 along x_1
                 + the variation along x_0 of h sum over x_1 of dp/dx_0).
    """
    arrays, rest = eqx.partition(made(massive.layers), eqx.is_inexact_array)
    h = massive.step
    nodes, _ = trapezoid(*massive.ends, h)
    nodes = nodes[1:-1]
    points = np.stack(np.meshgrid(*[nodes] * massive.dim, indexing="ij"), axis=-1)

    def density(x: Any, arrays: Any) -> Any:
        chain = Chain([change(layer) for layer in eqx.combine(arrays, rest)])
        path, inference = chain.encode(x)
        log_base = (massive.log_base or _log_normal)(path[-1])
        return jnp.exp(log_base + total(inference) + total(chain.generative_terms(x, path)))

    function = density if massive.smooth else jax.value_and_grad(density)
    over_points = jax.jit(jax.vmap(function, in_axes=(0, None)))
    found = over_points(points.reshape(-1, massive.dim), moved(arrays))
    allowed = TOLERANCE
    if massive.smooth:
        p = np.asarray(found)
    else:
        p, slopes = map(np.asarray, found)
        slopes = slopes.reshape(points.shape)
        for axis in range(massive.dim):
            others = tuple(a for a in range(massive.dim) if a > axis)
            along = h ** len(others) * slopes[..., axis].sum(axis=others)
            rows = h**axis * np.abs(np.diff(along, axis=axis)).sum()
            allowed += h**2 / 8 * rows
        assert allowed < 0.01, allowed
    gap = h**massive.dim * p.sum() - 1
    assert abs(gap) < allowed, (gap, allowed)


def _log_normal(z: Any) -> Any:
    return -0.5 * jnp.sum(z**2 + jnp.log(2 * jnp.pi))
