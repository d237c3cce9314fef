"""Optimizers that have a name: a step size is a factor of theirs, and what Muon moves, and how far."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from taut.networks import MLP
from taut.training import OPTIMIZERS, TrainingOptions

RATE = 0.01


def _network() -> MLP:
    return eqx.filter(MLP(40, (12,), 6, key=jax.random.key(0)), eqx.is_inexact_array)


def _gradient(network: MLP, number: int = 1) -> MLP:
    leaves, shape = jax.tree.flatten(network)
    keys = jax.random.split(jax.random.key(number), len(leaves))
    drawn = [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(shape, drawn)


def _updates(optimizer: optax.GradientTransformation, steps: int = 3) -> list[MLP]:
    network, found = _network(), []
    told, state = optax.with_extra_args_support(optimizer), optimizer.init(network)
    for step in range(steps):
        update, state = told.update(_gradient(network, step), state, network, step=step)
        found.append(update)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_constant_schedule_is_its_step_size(name):
    options = TrainingOptions(optimizer=name, learning_rate=RATE)
    direct, scheduled = (
        _updates(options.transformation(rate)) for rate in (RATE, lambda step: RATE)
    )
    for one, other in zip(direct, scheduled, strict=True):
        for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


def test_muon_moves_every_cell_of_a_weight_matrix_by_the_step_size():
    """In root mean square, along all singular directions alike, whatever the matrix's shape."""
    for layer in _updates(OPTIMIZERS["muon"](RATE), steps=1)[0].layers:
        sizes = np.linalg.svd(np.asarray(layer.weight), compute_uv=False)
        assert np.sqrt(np.mean(np.square(layer.weight))) == pytest.approx(RATE, rel=0.2)
        assert sizes.max() < 2 * sizes.min()


def test_muon_leaves_to_adam_what_is_no_weight_matrix():
    """With Nesterov's momentum: biases, and a matrix that no layer multiplies by, as pseudo-inputs."""
    parameters = {"inputs": jnp.ones((5, 4)), "network": _network()}
    gradient = {"inputs": jnp.arange(20.0).reshape(5, 4), "network": _gradient(_network())}
    by_muon, by_adam = (
        make.update(gradient, make.init(parameters), parameters)[0]
        for make in (OPTIMIZERS["muon"](RATE), optax.nadam(RATE))
    )
    np.testing.assert_allclose(by_muon["inputs"], by_adam["inputs"], rtol=1e-5)
    for own, adams in zip(by_muon["network"].layers, by_adam["network"].layers, strict=True):
        np.testing.assert_allclose(own.bias, adams.bias, rtol=1e-5)
        assert not np.allclose(own.weight, adams.weight, rtol=0.1)
