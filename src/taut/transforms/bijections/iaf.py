"""`InverseAutoregressive`: the gated inverse autoregressive flow, which draws in one pass.

    x_i = g_i z_i + (1 - g_i) m_i,        g = sigmoid(s),  (m_i, s_i) = network(z_1, ..., z_{i-1}, c)
    log |det dx/dz| = sum log g_i

Decoding takes one pass of the masked network, encoding D. The gate starts at sigmoid(2) = 0.88 and m
near zero: the layer starts near a shrinkage by that factor, which the scale of the base takes up.

Source: Kingma et al., Improving variational inference with inverse autoregressive flow (NeurIPS 2016),
equations 10 to 14 and algorithm 1; the start of the gate is their section 4.
"""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Cost, Shape
from taut.transforms.bijections.masked_mlp import MaskedMLP

__all__ = ["InverseAutoregressive"]

_GATE = 2.0  # added to s, which starts near zero


class InverseAutoregressive(AbstractBijection):
    """Gated inverse autoregressive layer.

    Attributes:
        x_shape, z_shape: (D,).
        network: masked, from z and the condition to m and s.
    """

    name: ClassVar[str] = "iaf"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    network: MaskedMLP

    def __init__(
        self,
        dim: int,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        condition_dim: int | None = None,
        key: PRNGKeyArray,
    ):
        self.x_shape = self.z_shape = (dim,)
        self.network = MaskedMLP(
            dim, 2, hidden=hidden, activation=activation, condition_dim=condition_dim, key=key
        )

    @property
    def condition_shape(self) -> Shape | None:
        dim = self.network.condition_dim
        return None if dim is None else (dim,)

    @property
    def cost(self) -> Cost:
        return Cost(encode=self.network.dim)

    def _target_and_gate(self, z: Array, condition: Array | None) -> tuple[Array, Array]:
        m, s = self.network(z, condition).T
        return m, s + _GATE

    def encode_and_log_det(
        self, x: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        def one_more(z: Array, _: None) -> tuple[Array, Array]:
            m, s = self._target_and_gate(z, condition)
            # (x - (1 - g) m) / g, with 1/g = 1 + exp(-s)
            return x + jnp.exp(-s) * (x - m), jax.nn.log_sigmoid(s)

        z, log_gates = jax.lax.scan(one_more, jnp.zeros_like(x), None, length=self.network.dim)
        return z, -jnp.sum(log_gates[-1])

    def decode_and_log_det(
        self, z: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        m, s = self._target_and_gate(z, condition)
        gate = jax.nn.sigmoid(s)
        return gate * z + (1 - gate) * m, jnp.sum(jax.nn.log_sigmoid(s))
