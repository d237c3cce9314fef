"""The network that gives a coupling or autoregressive layer its parameters.

It starts near the identity, with a gradient everywhere:

    last weights      a tenth of their usual size
    hidden biases     uniform in (-1, 1) / sqrt(inputs), which spreads the kinks of the units over the
                      data; with zero biases all units that see one dimension have theirs at its zero
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from taut.networks import MLP

__all__ = ["conditioner"]

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
    biases = [
        jax.random.uniform(k, layer.bias.shape, layer.bias.dtype, -1, 1)
        / math.sqrt(layer.weight.shape[0])
        for k, layer in zip(keys, network.layers[:-1], strict=True)
    ]
    return eqx.tree_at(
        lambda n: [n.layers[-1].weight, *(layer.bias for layer in n.layers[:-1])],
        network,
        [_START * network.layers[-1].weight, *biases],
    )
