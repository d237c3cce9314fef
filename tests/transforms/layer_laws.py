"""Laws of a layer below a base whose density is known, and what a record must say for them.

Each law raises AssertionError; the planted mistakes show that it does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.core import Datum, as_proposal, log_weighted_sum, particles, total
from taut.guides import ChainPair
from taut.models import AbstractPrior
from taut.transforms import Chain

STANDARD_ERRORS = 5
ROUNDING = 1e-9  # float64: sums of up to 1e4 terms, and quadrature


class Record(NamedTuple):
    """A layer and how its claims are shown.

    Attributes:
        layer: makes the layer.
        base: makes p(z), whose mass lies where the layer's z can lie.
        rule: points, (n, *x_shape), and weights of an integral over x; None where `known` stands.
        rows: a few x in the support, (m, *x_shape).
        known: log p(x) of one row, by another route.
        above: layers between this one and the base.
        fibre_rule: points and weights of an integral over the z of one x, where q has a density.
        sampled: parameters that move the draws, of x where z is a function of x, else of z.
        has_mean: whether E[x | z] is known.
        float32_loss: nats that a row's log-weight may lose in float32.
    """

    layer: Callable[[], Any]
    base: Callable[[], Any]
    rows: Any
    rule: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    known: Callable[[np.ndarray], float] | None = None
    above: Callable[[], tuple[Any, ...]] = tuple
    fibre_rule: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    sampled: tuple[str, ...] = ()
    has_mean: bool = True
    float32_loss: float = 0.0

    def pair(self, layer: Any = None) -> ChainPair:
        layer = self.layer() if layer is None else layer
        return ChainPair(Chain([layer, *self.above()]), self.base())


class Fixed(AbstractPrior):
    """Any distribution or proposal as p(z)."""

    name = "fixed"
    distribution: Any

    def __call__(self):
        return self.distribution


@eqx.filter_jit
def minted(pair: ChainPair, x: Any, key: Any, num: int) -> Any:
    model, guide = pair.bind()
    return particles(model, guide, guide, Datum(x=x), key, num)


def log_evidence(pair: ChainPair, points: Any) -> np.ndarray:
    """log p(x) at each point, of a chain whose number is exact."""

    def one(x: Any) -> Any:
        made = minted(pair, x, jax.random.key(0), 1)
        assert made.exhaustive
        return log_weighted_sum(made.log_mass, made.log_w)

    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(points)))


def total_mass_is_one_and_draws_follow_it(record: Record, layer: Any = None) -> None:
    """The density integrates to 1, and moments of draws are the integrals of the same density."""
    assert record.rule is not None
    pair = record.pair(layer)
    points, weights = record.rule()
    mass = weights * np.exp(log_evidence(pair, points))
    assert abs(mass.sum() - 1) < ROUNDING, mass.sum()

    model, _ = pair.bind()
    num = 4000

    def draw(key: Any) -> Any:
        base_key, key = jax.random.split(key)
        return model.sample(as_proposal(model.prior()).draw(base_key, 1).z[0], key)

    x = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), num))
    assert x.shape[1:] == pair.chain.x_shape
    agree_in_mean(features(np.asarray(x)), mass @ features(points))


def features(x: np.ndarray) -> np.ndarray:
    """First and second moments."""
    flat = x.reshape(len(x), -1)
    return np.concatenate([flat, flat**2, flat[:, 1:] * flat[:, :-1]], axis=1)


def density_is_known(record: Record, layer: Any = None) -> None:
    """An exact chain gives log p(x); an inexact one has E_q[w] = p(x), by quadrature over the fibre."""
    assert record.known is not None
    pair = record.pair(layer)
    known = np.array([record.known(np.asarray(x)) for x in record.rows])
    _, guide = pair.bind()
    rows = jnp.asarray(record.rows)
    if guide(Datum(x=rows[0])).exhaustive:
        np.testing.assert_allclose(log_evidence(pair, rows), known, rtol=1e-11, atol=1e-11)
        return
    assert record.fibre_rule is not None
    points, weights = zip(*[record.fibre_rule(np.asarray(x)) for x in record.rows], strict=True)

    def log_q_and_w(x: Any, z: Any) -> Any:
        return -total(pair.chain.layers[0].inference_terms(x, z)), log_w(pair, x, (z,))

    over_rows = jax.vmap(jax.vmap(log_q_and_w, in_axes=(None, 0)))
    log_q, weight = jax.jit(over_rows)(rows, jnp.asarray(np.stack(points)))
    average = np.sum(np.stack(weights) * np.exp(np.asarray(log_q + weight)), axis=1)
    np.testing.assert_allclose(np.log(average), known, rtol=0, atol=ROUNDING)


def log_w(pair: ChainPair, x: Any, path: Any) -> Any:
    """The log-weight of a given path."""
    model, guide = pair.bind()
    return model.log_joint(Datum(x=x), path) + total(guide(Datum(x=x)).terms(path))


def directions_agree(record: Record, layer: Any = None) -> None:
    """A function undoes the direction that draws, whose draws carry and follow their own density."""
    layer = record.layer() if layer is None else layer
    x = jnp.asarray(record.rows[0])

    @jax.jit
    @jax.vmap
    def at(key: Any) -> Any:
        z, terms = layer.encode(x, key)
        back = layer.decode(z, key)
        again = layer.inference_terms(x, z)
        assert terms.keys() == again.keys()
        return z, total(terms), total(again), back, layer.encode(back, key).z

    z, terms, again, back, z_again = map(np.asarray, at(jax.random.split(jax.random.key(3), 4000)))
    assert z.shape[1:] == layer.z_shape
    assert back.shape[1:] == layer.x_shape
    np.testing.assert_allclose(terms, again, rtol=1e-11, atol=1e-11)
    if layer.deterministic_decode:
        np.testing.assert_allclose(back, np.broadcast_to(x, back.shape), atol=1e-12)
        density_over_the_fibre_is_normalized(record, layer, z)
    else:
        np.testing.assert_allclose(z_again, z, atol=1e-12)
        if record.has_mean:
            agree_in_mean(
                features(back)[:, : x.size], np.asarray(layer.mean(jnp.asarray(z[0]))).ravel()
            )


def density_over_the_fibre_is_normalized(record: Record, layer: Any, drawn: np.ndarray) -> None:
    """q(z | x) integrates, or adds up, to 1 over the z of an x, all different, which decode to it."""
    x = jnp.asarray(record.rows[0])
    if layer.fibre_size is not None:
        fibre = layer.fibre(x)
        points, weights = fibre.z, np.ones(len(fibre.z))
        assert len(np.unique(np.asarray(points).reshape(len(points), -1), axis=0)) == len(points)
        assert len(points) == layer.fibre_size
    else:
        assert record.fibre_rule is not None
        points, weights = map(jnp.asarray, record.fibre_rule(np.asarray(x)))

    @jax.jit
    @jax.vmap
    def at(z: Any) -> Any:
        return total(layer.inference_terms(x, z)), layer.decode(z)

    neg_log_q, back = at(points)
    if layer.fibre_size is not None:
        np.testing.assert_allclose(-neg_log_q, layer.fibre(x).log_q, rtol=1e-13)
    if layer.deterministic_decode:
        np.testing.assert_allclose(back, np.broadcast_to(x, back.shape), atol=1e-12)
    q = np.asarray(weights) * np.exp(-np.asarray(neg_log_q))
    assert abs(q.sum() - 1) < ROUNDING, q.sum()
    agree_in_mean(features(drawn), q @ features(np.asarray(points)))


def agree_in_mean(draws: np.ndarray, mean: np.ndarray) -> None:
    """The average of draws, (n, features), is `mean` within five standard errors."""
    error = draws.std(axis=0) / np.sqrt(len(draws))
    gap = np.abs(draws.mean(axis=0) - mean)
    assert np.all(gap < STANDARD_ERRORS * error + ROUNDING), (gap, error)


def every_parameter_has_a_gradient(record: Record) -> float:
    """Through the densities at a given path, and through draws in the parameters that these move with.

    Returns:
        the largest error of the log-weight in float32 at the path of float64; nats.
    """
    pair = record.pair()
    arrays, rest = eqx.partition(pair, eqx.is_inexact_array)
    rows, key = jnp.asarray(record.rows), jax.random.key(9)
    paths = jax.jit(jax.vmap(lambda x: pair.chain.encode(x, key)[0]))(rows)

    def weights(arrays: Any, rows: Any, paths: Any) -> Any:
        whole = eqx.combine(arrays, rest)
        found = jax.vmap(lambda x, path: log_w(whole, x, path))(rows, paths)
        return jnp.sum(found), found

    (_, wide), gradient = jax.jit(jax.value_and_grad(weights, has_aux=True))(arrays, rows, paths)
    refuse_idle(gradient.chain.layers[0])
    if record.sampled:
        refuse_idle(jax.tree.leaves(gradient_of_draws(record)))
    narrow = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, (arrays, rows, paths)
    )
    with jax.enable_x64(False):
        _, rounded = jax.jit(weights)(*narrow)
    assert rounded.dtype == jnp.float32
    return float(np.max(np.abs(np.asarray(rounded, np.float64) - np.asarray(wide))))


def gradient_of_draws(record: Record) -> list[Any]:
    """By the parameters named in `sampled`, of the direction that draws."""
    layer = record.layer()
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    row, z = (
        jnp.asarray(record.rows[0]),
        layer.encode(jnp.asarray(record.rows[0]), jax.random.key(7)).z,
    )

    def drawn(arrays: Any) -> Any:
        whole, key = eqx.combine(arrays, rest), jax.random.key(8)
        found = whole.decode(z, key) if layer.deterministic_encode else whole.encode(row, key).z
        return jnp.sum(jnp.sin(3 * found))

    gradient = jax.jit(jax.grad(drawn))(arrays)
    return [getattr(gradient, name) for name in record.sampled]


def refuse_idle(gradient: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


def panels(edges: Any, order: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Legendre's rule on each interval between edges."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    middle = (np.asarray(edges[:-1]) + np.asarray(edges[1:]))[:, None] / 2
    return (middle + half * nodes).ravel(), (half * weights).ravel()


def above_and_below_the_diagonal(line: Any, gap: Any) -> tuple[np.ndarray, np.ndarray]:
    """A rule on the plane that does not straddle x_0 = x_1: larger cell and gap, either way round."""
    (top, top_weights), (d, d_weights) = line, gap
    larger, smaller = np.repeat(top, len(d)), (top[:, None] - d).ravel()
    weights = np.outer(top_weights, d_weights).ravel()
    points = np.stack([np.stack([larger, smaller], 1), np.stack([smaller, larger], 1)])
    return points.reshape(-1, 2), np.tile(weights, 2)


def product(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
    """The tensor product of two rules."""
    (a, a_weights), (b, b_weights) = first, second
    points = np.stack([g.ravel() for g in np.meshgrid(a, b, indexing="ij")], axis=1)
    return points, np.outer(a_weights, b_weights).ravel()


def plane(rule: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The tensor product of a rule with itself."""
    return product(rule, rule)
