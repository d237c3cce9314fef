"""Where bijections start, what they refuse, what they declare; and the root that two of them solve."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flowjax import bijections as theirs
from scipy.optimize import brentq

from taut.core import InputError
from taut.transforms import (
    AbsoluteValue,
    ActNorm,
    Affine,
    AffineTransformer,
    Augmentation,
    Autoregressive,
    Chain,
    Cost,
    FlowJAXBijection,
    Inverse,
    Logit,
    Permute,
    Planar,
    Radial,
    Reshape,
    SplineTransformer,
    Standardize,
    started,
    vector_coupling,
)
from taut.transforms.bijections.tanh_root import tanh_root

KEY = jax.random.key(0)


def test_the_root_is_that_of_brent_and_has_the_derivatives_of_an_inverse_function(float64):
    """s(a) = a + c tanh(a) is known in closed form, and so are a' = 1/s' and a'' = -s''/s'^3."""
    c = np.array([-1 + 1e-6, -0.9, -0.3, 0.0, 0.5, 3.0, 1e6])[:, None]
    s = np.array([-1e8, -30.0, -2.0, -1e-3, 0.0, 0.4, 5.0])[None]
    c, s = (grid.ravel() for grid in np.broadcast_arrays(c, s))
    a = np.asarray(jax.jit(jax.vmap(tanh_root))(c, s))
    by_brent = [
        brentq(
            lambda a, c=c, s=s: a + c * np.tanh(a) - s, s - abs(c) - 1, s + abs(c) + 1, xtol=1e-14
        )
        for c, s in zip(c, s, strict=True)
    ]
    flat = 1 + c / np.cosh(np.minimum(np.abs(by_brent), 300)) ** 2 < 1e-3  # a triple root, nearly
    np.testing.assert_allclose(a[~flat], np.array(by_brent)[~flat], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose((a + c * np.tanh(a))[flat], s[flat], rtol=0, atol=1e-13)

    a, c = (grid.ravel() for grid in np.meshgrid([-4.0, -0.7, 0.2, 2.0], [-0.9, -0.3, 0.5, 3.0]))
    sech2, tanh = 1 / np.cosh(a) ** 2, np.tanh(a)
    first, second = 1 + c * sech2, -2 * c * sech2 * tanh
    slope = jax.grad(tanh_root, argnums=1)
    by_s = jax.jit(jax.vmap(lambda c, s: (slope(c, s), jax.grad(slope, argnums=1)(c, s))))(
        c, a + c * tanh
    )
    np.testing.assert_allclose(by_s[0], 1 / first, rtol=1e-12)
    np.testing.assert_allclose(by_s[1], -second / first**3, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: Affine((3,), condition_dim=2), ()),
        (lambda: Planar(3, condition_dim=2, key=KEY), range(3)),
        (lambda: Radial(3, condition_dim=2, key=KEY), range(4)),
        (lambda: vector_coupling(3, SplineTransformer(4), condition_dim=2, hidden=(), key=KEY), ()),
    ],
    ids=["affine", "planar", "radial", "spline-coupling"],
)
def test_parameters_of_zero_are_the_identity(make, shown):
    """But for the direction of a planar layer, and the centre and the radius of a radial one."""
    zero = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), eqx.filter_eval_shape(make))
    if shown:
        zero.parameters.own[list(shown)] = [0.3, -1.2, 0.7, 0.4][: len(shown)]
    x = jnp.array([0.3, -1.7, 7.0])

    @jax.jit
    def both(zero: Any) -> Any:
        c = jnp.array([1.0, -1.0])
        return zero.encode_and_log_det(x, c), zero.decode_and_log_det(x, c)

    for y, log_det in both(zero):
        np.testing.assert_allclose(y, x, rtol=1e-6)
        assert abs(float(log_det)) < 1e-6


def test_actnorms_are_started_one_after_the_other(float64):
    """Each with the batch that reaches it; a constant channel keeps its scale."""
    normal = np.random.default_rng(0).normal
    x = np.stack([5 + 3 * normal(size=50), np.full(50, 2.0), normal(size=50)], 1)
    chain = Chain([ActNorm((3,)), AbsoluteValue((3,)), ActNorm((3,))])
    begun = jax.jit(lambda x: started(chain, x, key=KEY))(x)
    scale = np.array([x[:, 0].std(), 1, x[:, 2].std()])
    np.testing.assert_allclose(begun.layers[0].shift, -x.mean(0), atol=1e-12)
    np.testing.assert_allclose(begun.layers[0].log_scale, -np.log(scale), atol=1e-12)
    folded = np.abs((x - x.mean(0)) / scale)
    np.testing.assert_allclose(begun.layers[2].shift, -folded.mean(0), atol=1e-12)
    scale = np.where(scale == 1, 1, folded.std(0))
    np.testing.assert_allclose(begun.layers[2].log_scale, -np.log(scale), atol=1e-12)


@pytest.mark.parametrize("x", [-0.1, 0.0, 1.0, 1.1])
def test_a_logit_has_no_density_outside_of_its_bounds_and_a_finite_gradient(x):
    layer = Logit((2,), margin=0.0)

    @jax.jit
    def look(x: Any) -> Any:
        log_det = layer.encode_and_log_det(x)[1]
        return log_det, jax.grad(lambda x: sum(layer.encode_and_log_det(x)).sum())(x)

    log_det, gradient = look(np.array([0.3, x]))
    assert log_det == -np.inf
    assert np.all(np.isfinite(gradient))


def test_flowjax_bijections_declare_their_passes():
    sizes = {"transformer": theirs.Affine(), "dim": 4, "nn_width": 3, "nn_depth": 1}
    maf = eqx.filter_jit(lambda: theirs.MaskedAutoregressive(KEY, **sizes))()
    assert FlowJAXBijection(maf).cost == Cost(encode=1, decode=4)
    chain = theirs.Chain([theirs.Invert(maf), theirs.Flip((4,)), maf])
    assert FlowJAXBijection(chain).cost == Cost(encode=6, decode=6)
    arrays, rest = eqx.partition(maf, eqx.is_array)
    layers = eqx.combine(jax.tree.map(lambda a: np.stack([a] * 3), arrays), rest)
    assert Inverse(FlowJAXBijection(theirs.Scan(layers))).cost == Cost(encode=12, decode=3)


def traced(act: Callable[[Any], Any]) -> Callable[[], Any]:
    """At a vector of two numbers, without computing anything."""
    return lambda: eqx.filter_eval_shape(act, np.ones(2))


MESSAGES = [
    (
        traced(lambda v: Affine((2,), condition_dim=3).encode(v)),
        "condition: expected a condition of shape (3,), got none. Try a layer made with condition_dim "
        "of its size.",
    ),
    (
        traced(
            lambda v: vector_coupling(2, AffineTransformer(), condition_dim=3, key=KEY).decode(
                v, None, v
            )
        ),
        "condition: expected a condition of shape (3,), got one of shape (2,). Try a layer made with "
        "condition_dim of its size.",
    ),
    (
        traced(lambda v: Autoregressive(2, AffineTransformer(), condition_dim=3, key=KEY).encode(v)),
        "condition: expected a condition of shape (3,), got none. Try a layer made with condition_dim "
        "of its size.",
    ),
    (
        traced(lambda v: Chain([Augmentation((2,), 1, None), Planar(2, key=KEY)])),
        "layers: expected a layer that takes the shape (3,), which augmentation gives, got planar, "
        "which takes (2,). Try a reshape between them, or another order.",
    ),
    (
        lambda: Reshape((2, 3), (5,)),
        "reshape: expected a shape of 6 elements, as (2, 3) has, got (5,). Try (6,).",
    ),
    (
        lambda: Permute((0, 2, 2)),
        "order: expected each of 0 to 2 once, got (0, 2, 2). Try a permutation.",
    ),
    (
        lambda: Standardize(jnp.zeros(2), jnp.ones(3)),
        "scale: expected a scale of shape (2,), as the shift has, got shape (3,). Try broadcasting both "
        "to the data's shape.",
    ),
    (
        lambda: Logit((2,), 1.0, 1.0),
        "logit: expected a lower bound below the upper one, got 1.0 and 1.0. Try exchanging them.",
    ),
    (
        lambda: Logit((2,), margin=0.5),
        "margin: expected a margin in [0, 0.5), got 0.5. Try 0.05.",
    ),
    (
        lambda: ActNorm((3,)).started_at(jnp.ones((1, 3))),
        "actnorm: expected at least two numbers a channel, in rows of shape (3,), got a batch of shape "
        "(1, 3). Try a larger batch of this layer's inputs.",
    ),
    (
        lambda: ActNorm((3,)).started_at(jnp.ones((5, 2))),
        "actnorm: expected at least two numbers a channel, in rows of shape (3,), got a batch of shape "
        "(5, 2). Try a larger batch of this layer's inputs.",
    ),
    (
        lambda: FlowJAXBijection(jnp.ones(3)),
        "flowjax: expected a bijection of FlowJAX, got ArrayImpl. Try the `bijection` of a FlowJAX "
        "distribution.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message"), MESSAGES)
def test_messages(act, message):
    with pytest.raises(InputError) as caught:
        act()
    assert str(caught.value) == message
