"""Gated multilayer perceptron.

    h_0 = x (flattened),  h_{l+1} = (h_l W_l + b_l) * sigmoid(h_l V_l + c_l),  output = h_L W_L + b_L

The gates are the only nonlinearity. Weights start as those of `MLP`.

Source: Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks (ICML
2017), equation 1; two layers of 300 are the networks of Tomczak and Welling, VAE with a VampPrior
(AISTATS 2018), section 5.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks.mlp import Linear

__all__ = ["GatedLinear", "GatedMLP"]


class GatedLinear(eqx.Module):
    """(x W + b) * sigmoid(x V + c).

    Attributes:
        value: W and b.
        gate: V and c.
    """

    value: Linear
    gate: Linear

    def __init__(self, in_size: int, out_size: int, *, key: PRNGKeyArray):
        value_key, gate_key = jax.random.split(key)
        self.value = Linear(in_size, out_size, key=value_key)
        self.gate = Linear(in_size, out_size, key=gate_key)

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        return self.value(x) * jax.nn.sigmoid(self.gate(x))


class GatedMLP(eqx.Module):
    """Fully connected network whose hidden layers are gated.

    Attributes:
        layers: gated layers, first to last.
        output: the affine map behind them.
    """

    layers: tuple[GatedLinear, ...]
    output: Linear

    def __init__(self, in_size: int, hidden: Sequence[int], out_size: int, *, key: PRNGKeyArray):
        sizes = (in_size, *hidden)
        *keys, output_key = jax.random.split(key, len(sizes))
        self.layers = tuple(
            GatedLinear(i, o, key=k) for i, o, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.output = Linear(sizes[-1], out_size, key=output_key)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " out"]:
        """Arguments: x, any shape with `in_size` elements. Returns: (out_size,)."""
        h = x.reshape(-1)
        for layer in self.layers:
            h = layer(h)
        return self.output(h)

    def started_at(self, outputs: Float[Array, " out"], spread: Float[Array, " out"]) -> "GatedMLP":
        """The network around `outputs`, where z = 0 stands, which it leaves by `spread`."""
        last = self.output.started_at(outputs, spread)
        return eqx.tree_at(lambda network: network.output, self, last)
