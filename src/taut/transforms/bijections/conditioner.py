"""The network that gives a coupling or autoregressive layer its parameters.

It starts near the identity, with a gradient everywhere:

    last weights      a tenth of their usual size
    hidden layers     weights and biases uniform in (-1, 1) / sqrt(inputs), which spreads the kinks of
                      the units over the data; with zero biases all units that see one dimension have
                      theirs at its zero
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.networks import MLP, Linear

__all__ = ["conditioner", "silent"]

_START = 0.1


def conditioner(
    in_size: int,
    hidden: Sequence[int],
    out_size: int,
    *,
    activation: str,
    key: PRNGKeyArray,
) -> MLP:
    """A multilayer perceptron with those starting values."""
    network_key, *keys = jax.random.split(key, 1 + len(hidden))
    network = MLP(in_size, hidden, out_size, activation=activation, key=network_key)
    *layers, last = network.layers
    layers = [_spread(layer, k) for layer, k in zip(layers, keys, strict=True)]
    last = eqx.tree_at(lambda layer: layer.weight, last, _START * last.weight)
    return eqx.tree_at(lambda n: n.layers, network, (*layers, last))


def _spread(layer: Linear, key: PRNGKeyArray) -> Linear:
    """The layer with uniform weights and biases."""
    weight_key, bias_key = jax.random.split(key)
    bound = 1 / math.sqrt(layer.weight.shape[0])
    weight, bias = layer.weight, layer.bias
    return eqx.tree_at(
        lambda layer: (layer.weight, layer.bias),
        layer,
        (
            jax.random.uniform(weight_key, weight.shape, weight.dtype, -bound, bound),
            jax.random.uniform(bias_key, bias.shape, bias.dtype, -bound, bound),
        ),
    )


def silent(network: MLP) -> MLP:
    """The network with outputs of zero, whatever it reads, and a gradient in its last weights."""
    zero = jnp.zeros_like(network.layers[-1].bias)
    return network.started_at(zero, zero)
