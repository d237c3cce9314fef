"""bfloat16 means the factors of matrix products, and nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.networks import MLP, NETWORKS
from taut.networks.products import product


def test_factors_are_rounded_and_sums_are_not():
    a = jax.random.normal(jax.random.key(0), (5, 300))
    b = jax.random.normal(jax.random.key(1), (300, 4))
    with jax.default_matmul_precision("bfloat16"):
        low = jax.jit(lambda a, b: product(a, b))(a, b)
    assert low.dtype == jnp.float32
    rounded = [np.asarray(x.astype(jnp.bfloat16), np.float64) for x in (a, b)]
    exact = rounded[0] @ rounded[1]
    # Sums of 300 exact products in float32.
    scale = np.abs(rounded[0]) @ np.abs(rounded[1])
    assert np.all(np.abs(low - exact) <= 300 * np.finfo(np.float32).eps * scale)
    assert not np.allclose(low, np.asarray(a, np.float64) @ np.asarray(b), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_obeys_the_setting(name):
    network = NETWORKS[name]
    widths = network.widths((8, 8), (4,))
    encoder = network.encoder((8, 8), widths, 3, network.activation, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (8, 8))

    def factors(precision):
        with jax.default_matmul_precision(precision):
            text = str(
                jax.make_jaxpr(lambda e, x: e(x))(*eqx.partition(encoder, eqx.is_array)[:1], x)
            )
        lines = [line for line in text.splitlines() if "dot_general" in line or "conv_gen" in line]
        assert lines
        return text.count("bf16")

    assert factors("float32") == 0
    assert factors("bfloat16") > 0


def test_gradients_keep_the_precision_of_the_parameters():
    mlp = MLP(6, (5,), 2, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6,))
    with jax.default_matmul_precision("bfloat16"):
        gradient = jax.jit(jax.grad(lambda mlp: jnp.sum(mlp(x) ** 2)))(mlp)
    whole = jax.jit(jax.grad(lambda mlp: jnp.sum(mlp(x) ** 2)))(mlp)
    for low, full in zip(jax.tree.leaves(gradient), jax.tree.leaves(whole), strict=True):
        assert low.dtype == jnp.float32
        assert np.any(np.asarray(low) != np.asarray(full))
