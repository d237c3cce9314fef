"""`AffineAutoregressive` and `SplineAutoregressive`: each dimension transformed, given those before it.

    z_i = T(x_i; network(x_1, ..., x_{i-1}, c))
    log |det dz/dx| = sum log T'(x_i)

The density takes one pass of the network. Decoding takes D: pass i makes x_i right, for all before it
are right by then, and the last pass has the parameters of all of them.

Source: Papamakarios, Pavlakou and Murray, Masked autoregressive flow for density estimation (NeurIPS
2017), sections 3.1 and 3.2; with splines, Durkan et al., Neural spline flows (NeurIPS 2019), section 4.
"""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Cost, Shape
from taut.transforms.bijections.masked_mlp import MaskedMLP
from taut.transforms.bijections.transformers import (
    AbstractTransformer,
    AffineTransformer,
    SplineTransformer,
)

__all__ = ["AffineAutoregressive", "SplineAutoregressive"]


class AbstractAutoregressive(AbstractBijection):
    """What both share; they differ in the transformer."""

    network: eqx.AbstractVar[MaskedMLP]
    transformer: eqx.AbstractVar[AbstractTransformer]

    @property
    def condition_shape(self) -> Shape | None:
        dim = self.network.condition_dim
        return None if dim is None else (dim,)

    @property
    def cost(self) -> Cost:
        return Cost(decode=self.network.dim)

    def encode_and_log_det(
        self, x: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        z, log_slope = self.transformer.forward(self.network(x, condition), x)
        return z, jnp.sum(log_slope)

    def decode_and_log_det(
        self, z: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        def one_more(x: Array, _: None) -> tuple[Array, Array]:
            return self.transformer.inverse(self.network(x, condition), z)

        x, log_slopes = jax.lax.scan(one_more, jnp.zeros_like(z), None, length=self.network.dim)
        return x, jnp.sum(log_slopes[-1])


class AffineAutoregressive(AbstractAutoregressive):
    """Autoregressive shift and scale.

    Attributes:
        x_shape, z_shape: (D,).
        network: masked, from x and the condition to the transformer's parameters.
        transformer: shift and scale.
    """

    name: ClassVar[str] = "maf"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    network: MaskedMLP
    transformer: AbstractTransformer

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
        self.transformer = AffineTransformer()
        self.network = MaskedMLP(
            dim,
            self.transformer.num_parameters,
            hidden=hidden,
            activation=activation,
            condition_dim=condition_dim,
            key=key,
        )


class SplineAutoregressive(AbstractAutoregressive):
    """Autoregressive rational-quadratic splines.

    Attributes:
        x_shape, z_shape: (D,).
        network: masked, from x and the condition to the transformer's parameters.
        transformer: the spline, with its number of bins and its box.
    """

    name: ClassVar[str] = "spline-maf"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    network: MaskedMLP
    transformer: AbstractTransformer

    def __init__(
        self,
        dim: int,
        *,
        bins: int = 8,
        box: float = 5.0,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        condition_dim: int | None = None,
        key: PRNGKeyArray,
    ):
        self.x_shape = self.z_shape = (dim,)
        self.transformer = SplineTransformer(bins, box)
        self.network = MaskedMLP(
            dim,
            self.transformer.num_parameters,
            hidden=hidden,
            activation=activation,
            condition_dim=condition_dim,
            key=key,
        )
