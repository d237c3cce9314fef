"""`MaskedMLP`: a network whose i-th group of outputs sees only the inputs before the i-th.

    degree(input i) = i + 1,  degree(condition) = 0,  degree(hidden) cycles,  degree(output i) = i
    a weight stays where degree(out) >= degree(in)

The masks are functions of the sizes and no arrays of the network; a masked weight has no gradient.

Source: Germain, Gregor, Murray and Larochelle, MADE: masked autoencoder for distribution estimation
(ICML 2015), section 4.
"""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks import MLP, activation
from taut.networks.products import product
from taut.transforms.bijections.conditioner import conditioner
from taut.transforms.bijections.context_vector import check_condition

__all__ = ["MaskedMLP"]


class MaskedMLP(eqx.Module):
    """x and a condition to P numbers for each of D dimensions.

    Attributes:
        network: the weights, masked or not, and the activation.
        dim: D.
        num_outputs: P.
        condition_dim: size of the condition; None without one.
    """

    network: MLP
    dim: int = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    condition_dim: int | None = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        num_outputs: int,
        *,
        hidden: Sequence[int],
        activation: str,
        condition_dim: int | None,
        key: PRNGKeyArray,
    ):
        in_size = dim + (condition_dim or 0)
        self.network = conditioner(
            in_size, hidden, dim * num_outputs, activation=activation, key=key
        )
        self.dim, self.num_outputs, self.condition_dim = dim, num_outputs, condition_dim

    def __call__(
        self, x: Float[Array, " D"], condition: Array | None = None
    ) -> Float[Array, "D P"]:
        """The numbers of dimension i, functions of the condition and of x before i."""
        h = x
        if self.condition_dim is not None:
            h = jnp.concatenate([x, check_condition(condition, (self.condition_dim,))])
        function, layers = activation(self.network.activation), self.network.layers
        for layer, mask in zip(layers, self._masks(), strict=True):
            h = product(h, jnp.where(mask, layer.weight, 0)) + layer.bias
            h = h if layer is layers[-1] else function(h)
        return h.reshape(self.dim, self.num_outputs)

    def _masks(self) -> list[np.ndarray]:
        inputs = np.arange(self.dim) + 1
        # A hidden unit of degree zero sees the condition only, and without one nothing at all.
        least = 0 if self.condition_dim is not None or self.dim == 1 else 1
        if self.condition_dim is not None:
            inputs = np.concatenate([inputs, np.zeros(self.condition_dim, int)])
        degrees = [inputs]
        for layer in self.network.layers[:-1]:
            cycle = np.arange(layer.bias.shape[0]) % max(self.dim - least, 1)
            degrees.append(least + cycle)
        degrees.append(np.repeat(np.arange(self.dim), self.num_outputs))
        return [o >= i[:, None] for i, o in itertools.pairwise(degrees)]
