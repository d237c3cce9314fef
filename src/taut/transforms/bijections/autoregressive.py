"""`Autoregressive`: each dimension transformed, given those before it.

    reads = "data"      z_i = T(x_i; network(x_1, ..., x_{i-1}, c))     density in one pass, draws in D
    reads = "latent"    x_i = T(z_i; network(z_1, ..., z_{i-1}, c))     draws in one pass, density in D

    log |det| of the direction in one pass = sum log T'

T is any `AbstractTransformer`. The other direction takes D passes of the network: pass i makes number i
right, for all before it are right by then, and the last pass has the parameters of all of them.

Sources: Papamakarios, Pavlakou and Murray, Masked autoregressive flow for density estimation (NeurIPS
2017), sections 3.1 and 3.2; Kingma et al., Improving variational inference with inverse autoregressive
flow (NeurIPS 2016), equations 10 to 14 and algorithm 1; with splines, Durkan et al., Neural spline flows
(NeurIPS 2019), section 4.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Cost, Shape, WithLogDet
from taut.transforms.bijections.conditioner import silent
from taut.transforms.bijections.masked_mlp import MaskedMLP
from taut.transforms.bijections.transformers import AbstractTransformer

__all__ = ["Autoregressive"]


class Autoregressive(AbstractBijection):
    """Autoregressive layer of a vector.

    Arguments:
        dim: number of dimensions D.
        transformer: what each dimension goes through.
        reads: which side's earlier dimensions the network sees.
        hidden, activation: of the network.
        condition_dim: size of the condition that the network reads too; None for none.
        key: of the network's parameters.

    Attributes:
        x_shape, z_shape: (D,).
        network: masked, to P numbers a dimension.
        transformer: takes these P numbers.
    """

    name: ClassVar[str] = "autoregressive"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    network: MaskedMLP
    transformer: AbstractTransformer
    reads: Literal["data", "latent"] = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        transformer: AbstractTransformer,
        *,
        reads: Literal["data", "latent"] = "data",
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        condition_dim: int | None = None,
        key: PRNGKeyArray,
    ):
        self.x_shape = self.z_shape = (dim,)
        self.transformer, self.reads = transformer, reads
        self.network = MaskedMLP(
            dim,
            transformer.num_parameters,
            hidden=hidden,
            activation=activation,
            condition_dim=condition_dim,
            key=key,
        )

    @property
    def condition_shape(self) -> Shape | None:
        dim = self.network.condition_dim
        return None if dim is None else (dim,)

    @property
    def cost(self) -> Cost:
        dim = self.network.dim
        return Cost(decode=dim) if self.reads == "data" else Cost(encode=dim)

    def at_rest(self) -> "Autoregressive":
        return eqx.tree_at(lambda la: la.network.network, self, replace_fn=silent)

    def encode_at_rest(self, x: Array) -> Array:
        scale = self.transformer.scale_at_rest
        return scale * x if self.reads == "data" else x / scale

    def decode_at_rest(self, z: Array) -> Array:
        scale = self.transformer.scale_at_rest
        return z / scale if self.reads == "data" else scale * z

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return (self._in_one if self.reads == "data" else self._one_by_one)(x, condition)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return (self._one_by_one if self.reads == "data" else self._in_one)(z, condition)

    def _in_one(self, read: Array, condition: Array | None) -> WithLogDet:
        other, log_slope = self.transformer.forward(self.network(read, condition), read)
        return other, jnp.sum(log_slope)

    def _one_by_one(self, other: Array, condition: Array | None) -> WithLogDet:
        def one_more(read: Array, _: None) -> tuple[Array, Array]:
            return self.transformer.inverse(self.network(read, condition), other)

        start = jnp.zeros_like(other)
        read, log_slopes = jax.lax.scan(one_more, start, None, length=self.network.dim)
        return read, jnp.sum(log_slopes[-1])
