"""Multilayer perceptron.

    h_0 = x (flattened),  h_{l+1} = a(h_l W_l + b_l),  output = h_L W_L + b_L

Weights are stored (in, out), so that a batched call is one row-major matrix product. They start
uniform with variance 2 / (in + out) (Glorot and Bengio 2010, eq. 16), biases at zero.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks.activations import activation
from taut.networks.products import product

__all__ = ["MLP", "Linear"]


class Linear(eqx.Module):
    """x W + b.

    Attributes:
        weight: (in, out).
        bias: (out,).
    """

    weight: Float[Array, "i o"]
    bias: Float[Array, " o"]

    def __init__(self, in_size: int, out_size: int, *, key: PRNGKeyArray):
        self.weight = jax.nn.initializers.glorot_uniform()(key, (in_size, out_size))
        self.bias = jnp.zeros(out_size)

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        return product(x, self.weight) + self.bias

    def started_at(self, outputs: Float[Array, " o"], spread: Float[Array, " o"]) -> "Linear":
        """The map around `outputs`, its weights times `spread`."""
        bias = outputs.astype(self.bias.dtype)
        weight = self.weight * spread.astype(self.weight.dtype)
        return eqx.tree_at(lambda la: (la.weight, la.bias), self, (weight, bias))

    def widened(self, out_size: int) -> "Linear":
        """The map with more outputs behind its own, all zero."""
        more = out_size - self.bias.shape[0]
        parts = jnp.pad(self.weight, ((0, 0), (0, more))), jnp.pad(self.bias, (0, more))
        return eqx.tree_at(lambda la: (la.weight, la.bias), self, parts)


class MLP(eqx.Module):
    """Fully connected network with an elementwise activation between layers.

    Attributes:
        layers: affine maps, first to last.
        activation: name of the elementwise function.
    """

    layers: tuple[Linear, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        hidden: Sequence[int],
        out_size: int,
        *,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        sizes = (in_size, *hidden, out_size)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(
            Linear(i, o, key=k) for i, o, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.activation = activation

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " out"]:
        """Arguments: x, any shape with `in_size` elements. Returns: (out_size,)."""
        function = activation(self.activation)
        h = x.reshape(-1)
        for layer in self.layers[:-1]:
            h = function(layer(h))
        return self.layers[-1](h)

    def started_at(self, outputs: Float[Array, " out"], spread: Float[Array, " out"]) -> "MLP":
        """The network around `outputs`, where z = 0 stands, which it leaves by `spread`."""
        last = self.layers[-1].started_at(outputs, spread)
        return eqx.tree_at(lambda network: network.layers[-1], self, last)
