"""Laws of image bijections: inverse, log-determinant by autodiff, mass, gradients, float32, messages."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import trapezoid
from layer_laws import plane, refuse_idle

import taut.transforms.images
from taut.core import InputError
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import (
    LAYERS,
    AbsoluteValue,
    AbstractLayer,
    Chain,
    Coupling,
    InvertibleConv,
    MultiScale,
    SplineTransformer,
    Squeeze,
    conv_coupling,
)


class Record(NamedTuple):
    """A bijection of a small image.

    Attributes:
        layer: makes it, from a key.
        float32_loss: what log |det| and the latents may lose in float32, absolutely.
    """

    layer: Callable[[Any], Any]
    float32_loss: float = 0.0


def nested(key: Any) -> MultiScale:
    """Two splits, the second of them inside the first."""
    keys = jax.random.split(key, 4)
    inner = [
        InvertibleConv((2, 2, 2), key=keys[0]),
        MultiScale((2, 2, 2), width=3, key=keys[2]),
    ]
    return MultiScale((2, 2, 4), Chain(inner), width=3, key=keys[3])


IMAGES: dict[str, Record] = {
    "squeeze": Record(lambda key: Squeeze((2, 4, 2))),
    "squeeze, no channels": Record(lambda key: Squeeze((2, 4))),
    "invertible-conv": Record(lambda key: InvertibleConv((2, 2, 3), key=key), 2e-6),
    "invertible-conv, one channel": Record(lambda key: InvertibleConv((2, 2, 1), key=key), 2e-6),
    "coupling": Record(lambda key: conv_coupling((2, 2, 3), width=3, key=key), 3e-6),
    "coupling, swapped": Record(
        lambda key: conv_coupling((2, 2, 3), swap=True, width=3, depth=2, key=key), 3e-6
    ),
    "coupling, splines": Record(
        lambda key: conv_coupling((2, 2, 3), SplineTransformer(3, 1.0), width=3, key=key), 1e-5
    ),
    "multi-scale": Record(nested, 5e-6),
    "multi-scale, standard normal": Record(lambda key: MultiScale((2, 2, 3), width=0, key=key)),
}
over_all = pytest.mark.parametrize("record", IMAGES.values(), ids=IMAGES)


def made(record: Record) -> Any:
    """The layer with every parameter moved from where it starts."""
    arrays, rest = eqx.partition(record.layer(jax.random.key(0)), eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    keys = jax.random.split(jax.random.key(1), max(len(leaves), 1))
    moved = [a + 0.3 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=False)]
    return eqx.combine(jax.tree.unflatten(structure, moved), rest)


class Directions(NamedTuple):
    """What both directions make of an image, and their Jacobians by automatic differentiation."""

    x: Any
    z: Any
    log_det: Any
    back: Any
    back_log_det: Any
    jacobians: tuple[Any, Any]


def both_directions(layer: Any) -> Directions:
    x = jax.random.normal(jax.random.key(2), layer.x_shape)

    @jax.jit
    def at(x: Any) -> Any:
        encode = lambda v: (lambda z, d: (z, (z, d)))(*layer.encode_and_log_det(v))  # noqa: E731
        decode = lambda v: (lambda z, d: (z, (z, d)))(*layer.decode_and_log_det(v))  # noqa: E731
        forward, (z, log_det) = jax.jacfwd(encode, has_aux=True)(x)
        reverse, (back, back_log_det) = jax.jacfwd(decode, has_aux=True)(z)
        jacobians = forward.reshape(x.size, x.size), reverse.reshape(x.size, x.size)
        return Directions(x, z, log_det, back, back_log_det, jacobians)

    return at(x)


def log_det_is_that_of_autodiff(made: Directions) -> None:
    """Both directions undo each other and carry the log-determinants of their Jacobians."""
    np.testing.assert_allclose(made.back, made.x, atol=1e-9)
    by_autodiff = [np.linalg.slogdet(j)[1] for j in made.jacobians]
    np.testing.assert_allclose([made.log_det, made.back_log_det], by_autodiff, atol=1e-9)


def test_every_image_layer_is_registered_and_under_the_laws():
    exported = {getattr(taut.transforms.images, n) for n in taut.transforms.images.__all__}
    layers = {cls for cls in exported if isinstance(cls, type) and issubclass(cls, AbstractLayer)}
    assert layers == {cls for cls in LAYERS.values() if ".images." in cls.__module__}
    assert {cls.name for cls in layers | {Coupling}} == {name.split(",")[0] for name in IMAGES}


@over_all
def test_log_det(record, float64):
    layer = made(record)
    directions = both_directions(layer)
    assert directions.z.shape == layer.z_shape
    log_det_is_that_of_autodiff(directions)


@over_all
def test_every_parameter_has_a_gradient_where_it_starts(record, float64):
    """Through the density of data, and through draws."""
    layer = record.layer(jax.random.key(0))
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    if not jax.tree.leaves(arrays):
        return
    x = jax.random.normal(jax.random.key(3), layer.x_shape)
    z = jax.random.normal(jax.random.key(4), layer.z_shape)

    @jax.jit
    def gradients(arrays: Any) -> Any:
        def density(arrays: Any) -> Any:
            latent, log_det = eqx.combine(arrays, rest).encode_and_log_det(x)
            return log_det - 0.5 * jnp.sum(latent**2)

        def draws(arrays: Any) -> Any:
            return jnp.sum(jnp.sin(3 * eqx.combine(arrays, rest).decode(z)))

        return jax.grad(density)(arrays), jax.grad(draws)(arrays)

    by_density, by_draws = gradients(arrays)
    # The factors of one channel's matrix have no entries off the diagonal.
    refuse_idle(jax.tree.map(lambda leaf: leaf if leaf.size else None, by_density))
    refuse_idle(jax.tree.map(lambda leaf: leaf if leaf.size else None, by_draws))


@over_all
def test_float32_loses_no_more_than_stated(record, float64):
    layer = made(record)
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    x = jax.random.normal(jax.random.key(5), layer.x_shape, jnp.float32).astype(jnp.float64)
    at = jax.jit(lambda arrays, x: eqx.combine(arrays, rest).encode_and_log_det(x))
    wide = at(arrays, x)
    with jax.enable_x64(False):
        narrow = at(*jax.tree.map(lambda a: a.astype(jnp.float32), (arrays, x)))
    assert narrow[0].dtype == jnp.float32
    losses = [
        np.max(np.abs(np.asarray(b, np.float64) - a)) for a, b in zip(wide, narrow, strict=True)
    ]
    assert max(losses) <= record.float32_loss, losses


def test_a_multi_scale_chain_has_mass_one(float64):
    """Two pixels' worth of numbers, (1, 1, 2): mixed, coupled, split."""
    keys = jax.random.split(jax.random.key(6), 3)
    shape = (1, 1, 2)
    layers = [
        made(Record(lambda key: InvertibleConv(shape, key=keys[0]))),
        made(Record(lambda key: conv_coupling(shape, width=3, key=keys[1]))),
        made(Record(lambda key: MultiScale(shape, width=3, key=keys[2]))),
    ]
    model, guide = ChainPair(Chain(layers), StandardNormal(2)).bind()
    points, weights = plane(trapezoid(-40.0, 40.0, 0.25))

    def log_density(x: Any) -> Any:
        z, log_det = guide.chain.encode_and_log_det(x.reshape(shape))
        return model.prior().log_prob(z) + log_det

    mass = weights * np.exp(jax.jit(jax.vmap(log_density))(jnp.asarray(points)))
    assert abs(mass.sum() - 1) < 1e-9


def test_mistakes_are_caught(float64):
    right = both_directions(made(IMAGES["invertible-conv"]))
    for wrong in (
        right._replace(log_det=-right.log_det),
        right._replace(back_log_det=right.log_det),
        right._replace(log_det=right.log_det / 4),  # of one pixel instead of four
        right._replace(back=right.z),
    ):
        with pytest.raises(AssertionError, match="Not equal"):
            log_det_is_that_of_autodiff(wrong)


def test_squeeze_keeps_neighbours():
    x = jnp.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(Squeeze((4, 4)).encode(x).z[1, 0], [8.0, 9.0, 12.0, 13.0])


def test_the_convolution_starts_at_a_rotation(float64):
    layer = InvertibleConv((1, 1, 5), key=jax.random.key(7))
    x = jax.random.normal(jax.random.key(8), (1, 1, 5))
    z, log_det = layer.encode_and_log_det(x)
    np.testing.assert_allclose(jnp.sum(z**2), jnp.sum(x**2), rtol=1e-12)
    assert abs(float(log_det)) < 1e-12


KEY = jax.random.key
MESSAGES = [
    (
        lambda: Squeeze((28, 19, 1)),
        "squeeze: expected an even height and width to squeeze, got 28 x 19. Try cropping or padding "
        "the images to an even size, or fewer squeezes.",
    ),
    (
        lambda: Squeeze((13,)),
        "squeeze: expected images, (H, W) or (H, W, C), to squeeze, got the shape (13,). Try "
        "`image_shape` where rows are flat images.",
    ),
    (
        lambda: conv_coupling((4, 4, 1), key=KEY(0)),
        "conv-coupling: expected at least 2 channels to couple, got the shape (4, 4, 1). Try a squeeze "
        "before it.",
    ),
    (
        lambda: MultiScale((4, 4, 1), key=KEY(0)),
        "multi-scale: expected at least 2 channels to split, got the shape (4, 4, 1). Try a squeeze "
        "before it.",
    ),
    (
        lambda: MultiScale((4, 4, 4), Chain([Squeeze((4, 4, 4))]), key=KEY(0)),
        "multi-scale: expected an inner chain for the shape (4, 4, 2), half of the channels, got one "
        "that takes (4, 4, 4). Try a chain for that shape.",
    ),
    (
        lambda: MultiScale((4, 4, 2), Chain([AbsoluteValue((4, 4, 1))]), key=KEY(0)),
        "multi-scale: expected an inner chain of bijections, got absolute-value, which is surjective. "
        "Try moving it before the split.",
    ),
]


@pytest.mark.parametrize(("act", "message"), MESSAGES)
def test_messages(act, message):
    with pytest.raises(InputError) as caught:
        act()
    assert str(caught.value) == message
