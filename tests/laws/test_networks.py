"""Laws of encoders and decoders."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from taut.core import InputError
from taut.networks import NETWORKS, GatedMLP
from taut.networks.convolution import Convolution, ResidualBlock, convolve
from taut.networks.cpu_convolution import convolve_on_cpu
from taut.networks.space_to_depth import depth_to_space, space_to_depth

EPS = np.finfo(np.float64).eps
SHAPES = {
    "mlp": [(5,), (4, 3), (3, 3, 2)],
    "gated-mlp": [(5,), (4, 3), (3, 3, 2)],
    "residual-conv": [(8, 8), (5, 7, 3), (1, 5)],
}
over_networks = pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
)


def made(name, shape, *, asked=(4, 6), num_outputs=2, activation="softplus"):
    """An encoder to 5 features and a decoder from 3 latents."""
    network = NETWORKS[name]
    widths = network.widths(shape, asked)
    if network.activation is None:
        activation = None
    keys = jax.random.split(jax.random.key(0))
    return (
        network.encoder(shape, widths, 5, activation, key=keys[0]),
        network.decoder(3, widths, num_outputs, shape, activation, key=keys[1]),
    )


def test_every_network_is_under_the_laws():
    assert set(SHAPES) == set(NETWORKS)


@over_networks
def test_shapes_hold_and_the_gradient_reaches_every_parameter(name, shape):
    """Some output depends on each array, at the start of training, for rows of any size."""
    encoder, decoder = made(name, shape)
    x = jax.random.normal(jax.random.key(1), shape)
    z = jax.random.normal(jax.random.key(2), (3,))
    weights = jax.random.normal(jax.random.key(3), (2 * math.prod(shape),))

    @jax.jit
    def gradients(networks):
        def total(networks):
            features, outputs = networks[0](x), networks[1](z)
            assert features.shape == (5,)
            assert outputs.shape == (2 * math.prod(shape),)
            return features @ weights[:5] + outputs @ weights

        return jax.grad(total)(networks)

    found = gradients((encoder, decoder))
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(found, eqx.is_array))
    for path, gradient in leaves:
        assert gradient.dtype == jnp.float32
        assert np.all(np.isfinite(gradient)), path
        assert np.any(gradient != 0), path


@pytest.mark.parametrize("name", NETWORKS)
def test_biases_start_at_zero(name):
    arrays = jax.tree_util.tree_leaves_with_path(eqx.filter(made(name, (8, 8)), eqx.is_array))
    biases = [leaf for path, leaf in arrays if jax.tree_util.keystr(path).endswith("bias")]
    assert biases
    assert all(np.all(bias == 0) for bias in biases)


@pytest.mark.usefixtures("float64")
def test_gated_layer_is_its_equation():
    network = GatedMLP(3, (4,), 2, key=jax.random.key(0))
    network = jax.tree.map(lambda a: a + 0.1, network)
    x = np.array([0.3, -1.0, 2.0])
    layer, output = network.layers[0], network.output
    value = x @ np.asarray(layer.value.weight) + np.asarray(layer.value.bias)
    gate = x @ np.asarray(layer.gate.weight) + np.asarray(layer.gate.bias)
    expected = value / (1 + np.exp(-gate)) @ np.asarray(output.weight) + np.asarray(output.bias)
    np.testing.assert_allclose(network(jnp.asarray(x)), expected, rtol=100 * EPS)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", [(6, 5), (1, 4), (2, 1)])
@pytest.mark.parametrize("route", [convolve, convolve_on_cpu])
def test_both_routes_are_the_convolution(route, size):
    """Against SciPy's correlation, channel by channel."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(*size, 3)), rng.normal(size=(3, 3, 3, 2))
    expected = np.stack(
        [
            sum(
                scipy.signal.correlate2d(np.pad(x[..., i], 1), weight[..., i, o], mode="valid")
                for i in range(3)
            )
            for o in range(2)
        ],
        axis=-1,
    )
    found = route(jnp.asarray(x), jnp.asarray(weight))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e3 * EPS)


def _objective(route):
    return lambda x, weight: jnp.sum(jnp.sin(jax.vmap(route, in_axes=(0, None))(x, weight)))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("channels", [(2, 3), (3, 2)])
@pytest.mark.parametrize("size", [(4, 3), (1, 2)])
def test_written_derivatives_are_those_of_xla(size, channels):
    """First, of a batch and of each row; second, along a direction; and with a weight for each row."""
    i, o = channels
    keys = jax.random.split(jax.random.key(0), 4)
    x, dx = (jax.random.normal(k, (5, *size, i)) for k in keys[:2])
    weight, dweight = (jax.random.normal(k, (3, 3, i, o)) for k in keys[2:])
    weights = jnp.arange(1.0, 6)[:, None, None, None, None] * weight

    def derivatives(route):
        gradient = jax.grad(_objective(route), (0, 1))
        row = jax.grad(lambda x, weight: jnp.sum(jnp.sin(route(x, weight))), (0, 1))
        return (
            gradient(x, weight),
            jax.vmap(row, (0, None))(x, weight),
            jax.jvp(gradient, (x, weight), (dx, dweight)),
            jax.vmap(row)(x, weights),
        )

    found, expected = (
        jax.jit(derivatives, static_argnums=0)(r) for r in (convolve_on_cpu, convolve)
    )
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e3 * EPS * np.abs(b).max())


@pytest.mark.parametrize("route", [convolve, convolve_on_cpu])
def test_a_batch_is_one_operation(route):
    """However many rows there are: forward, and each derivative."""
    gradients = jax.jit(jax.grad(_objective(route), (0, 1)))
    text = gradients.lower(jnp.ones((7, 4, 4, 3)), jnp.ones((3, 3, 3, 2))).as_text()
    assert text.count("stablehlo.convolution") + text.count("stablehlo.dot_general") == 3


def test_convolution_adds_its_bias_and_blocks_start_near_the_identity(float64):
    convolution = Convolution(2, 3, key=jax.random.key(0))
    moved = eqx.tree_at(lambda c: c.bias, convolution, jnp.arange(3.0))
    x = jax.random.normal(jax.random.key(1), (4, 4, 2))
    difference = moved(x) - convolution(x)
    np.testing.assert_allclose(difference, np.broadcast_to(np.arange(3.0), (4, 4, 3)), atol=1e-12)
    block = ResidualBlock(8, activation="gelu", key=jax.random.key(2))
    h = jax.random.normal(jax.random.key(3), (6, 6, 8))
    branch = block(h) - h
    assert 0 < float(branch.std()) < 0.2 * float(h.std())


def test_depth_and_space_are_inverses_and_keep_neighbours():
    x = jnp.arange(4 * 6 * 2.0).reshape(4, 6, 2)
    y = space_to_depth(x)
    assert y.shape == (2, 3, 8)
    np.testing.assert_array_equal(depth_to_space(y), x)
    np.testing.assert_array_equal(y[1, 2], x[2:4, 4:6].reshape(-1))


def test_decoder_outputs_are_in_the_order_of_the_likelihood():
    """The last convolution's bias reaches the output it belongs to, at every pixel of its channel."""
    _, decoder = made("residual-conv", (3, 5, 2), asked=(4,), num_outputs=3)
    bias = jnp.tile(jnp.arange(6.0), 4)  # sub-pixel (s, t), then channel, then output
    zeros = jax.tree.map(jnp.zeros_like, eqx.filter(decoder, eqx.is_array))
    blank = eqx.combine(zeros, decoder)
    blank = eqx.tree_at(lambda d: d.convolutions[-1].bias, blank, bias)
    outputs = np.asarray(blank(jnp.ones(3))).reshape(3, 3, 5, 2)
    for output in range(3):
        for channel in range(2):
            assert np.all(outputs[output, :, :, channel] == 3 * channel + output)


def test_widths_default_to_the_size_of_the_image():
    widths = NETWORKS["residual-conv"].widths
    assert widths((28, 28), None) == (32, 64)
    assert widths((3, 2), None) == (32,)
    assert widths((8, 8, 3), (4, 5, 6)) == (4, 5, 6)
    assert NETWORKS["mlp"].widths((5,), None) == (256, 256)
    assert NETWORKS["mlp"].widths((5,), ()) == ()
    assert NETWORKS["gated-mlp"].widths((5,), None) == (300, 300)


@pytest.mark.parametrize(
    ("shape", "asked", "message"),
    [
        (
            (13,),
            None,
            "network: expected images, (H, W) or (H, W, C), for the network residual-conv, got a "
            "table of 13 columns. Try the network mlp or gated-mlp, or `image_shape` where rows are "
            "flat images.",
        ),
        (
            (1, 1),
            None,
            "network: expected images of at least 2 pixels a side for the network residual-conv, got "
            "1 x 1 pixels. Try the network mlp.",
        ),
        (
            (8, 8),
            (4, 4, 4, 4),
            "hidden: expected 1 to 3 channel widths, one for each halving of 8 x 8 pixels, got 4. "
            "Try 32,64.",
        ),
        (
            (8, 8),
            (),
            "hidden: expected 1 to 3 channel widths, one for each halving of 8 x 8 pixels, got 0. "
            "Try 32,64.",
        ),
    ],
)
def test_images_that_residual_conv_cannot_take_are_refused(shape, asked, message):
    with pytest.raises(InputError) as caught:
        NETWORKS["residual-conv"].widths(shape, asked)
    assert str(caught.value) == message
