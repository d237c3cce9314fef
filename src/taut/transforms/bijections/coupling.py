"""`AffineCoupling` and `SplineCoupling`: one half of the dimensions transformed, given the other.

    z_kept = x_kept,        z_rest = T(x_rest; network(x_kept, c))
    log |det dz/dx| = sum log T'(x_rest)

The first floor(D/2) dimensions are kept, so that layers alternate with permutations. One pass of the
network in either direction.

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (ICLR 2017), section 3.2; with
splines, Durkan et al., Neural spline flows (NeurIPS 2019), section 4.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Shape
from taut.transforms.bijections.conditioner import conditioner
from taut.transforms.bijections.context_vector import ContextVector, check_condition
from taut.transforms.bijections.transformers import (
    AbstractTransformer,
    AffineTransformer,
    SplineTransformer,
)

__all__ = ["AffineCoupling", "SplineCoupling"]


class AbstractCoupling(AbstractBijection):
    """What both share; they differ in the transformer."""

    condition_dim: eqx.AbstractVar[int | None]
    network: eqx.AbstractVar[Any]
    transformer: eqx.AbstractVar[AbstractTransformer]

    @property
    def condition_shape(self) -> Shape | None:
        return None if self.condition_dim is None else (self.condition_dim,)

    @property
    def _num_kept(self) -> int:
        return self.x_shape[0] // 2

    def _parameters(self, kept: Array, condition: Array | None) -> Float[Array, "n P"]:
        known = kept
        if self.condition_dim is not None:
            known = jnp.concatenate([kept, check_condition(condition, self.condition_shape)])
        return self.network(known).reshape(-1, self.transformer.num_parameters)

    def encode_and_log_det(
        self, x: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        kept, rest = x[: self._num_kept], x[self._num_kept :]
        rest, log_slope = self.transformer.forward(self._parameters(kept, condition), rest)
        return jnp.concatenate([kept, rest]), jnp.sum(log_slope)

    def decode_and_log_det(
        self, z: Array, condition: Array | None = None
    ) -> tuple[Array, Float[Array, ""]]:
        kept, rest = z[: self._num_kept], z[self._num_kept :]
        rest, log_slope = self.transformer.inverse(self._parameters(kept, condition), rest)
        return jnp.concatenate([kept, rest]), jnp.sum(log_slope)


class AffineCoupling(AbstractCoupling):
    """Coupling by shift and scale.

    Attributes:
        x_shape, z_shape: (D,).
        condition_dim: size of the condition; None without one.
        network: from what is known to the transformer's parameters.
        transformer: shift and scale.
    """

    name: ClassVar[str] = "affine-coupling"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    condition_dim: int | None = eqx.field(static=True)
    network: Any
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
        self.condition_dim = condition_dim
        self.transformer = AffineTransformer()
        self.network = _conditioner(
            dim, self.transformer, hidden, activation, condition_dim, key=key
        )


class SplineCoupling(AbstractCoupling):
    """Coupling by rational-quadratic splines.

    Attributes:
        x_shape, z_shape: (D,).
        condition_dim: size of the condition; None without one.
        network: from what is known to the transformer's parameters.
        transformer: the spline, with its number of bins and its box.
    """

    name: ClassVar[str] = "spline-coupling"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    condition_dim: int | None = eqx.field(static=True)
    network: Any
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
        self.condition_dim = condition_dim
        self.transformer = SplineTransformer(bins, box)
        self.network = _conditioner(
            dim, self.transformer, hidden, activation, condition_dim, key=key
        )


class _Constant(eqx.Module):
    """The network of nothing: one dimension, of which no half is known."""

    parameters: ContextVector

    def __call__(self, known: Float[Array, " 0"]) -> Float[Array, " P"]:
        return self.parameters()


def _conditioner(
    dim: int,
    transformer: AbstractTransformer,
    hidden: Sequence[int],
    activation: str,
    condition_dim: int | None,
    *,
    key: PRNGKeyArray,
) -> Any:
    known = dim // 2 + (condition_dim or 0)
    size = (dim - dim // 2) * transformer.num_parameters
    if known == 0:
        return _Constant(ContextVector(jnp.zeros(size)))
    return conditioner(known, hidden, size, activation=activation, key=key)
