"""`Coupling`: one part of the last axis transformed, given the other.

    z_kept = x_kept,        z_moved = T(x_moved; network(x_kept, c))
    log |det dz/dx| = sum log T'(x_moved)

T is any `AbstractTransformer`. The first floor(n/2) of n places are kept, or with `swap` the others, so
that layers alternate with permutations or with each other. One pass of the network in either direction.

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (ICLR 2017), section 3.2; with
splines, Durkan et al., Neural spline flows (NeurIPS 2019), section 4.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet
from taut.transforms.bijections.conditioner import conditioner, silent
from taut.transforms.bijections.context_vector import ContextVector, check_condition
from taut.transforms.bijections.transformers import AbstractTransformer

__all__ = ["Coupling", "vector_coupling"]


class Coupling(AbstractBijection):
    """Coupling along the last axis, of vectors (`vector_coupling`) or images (`conv_coupling`).

    Attributes:
        x_shape, z_shape: (..., n).
        network: from what is known to P numbers for each cell that is moved.
        transformer: takes these P numbers.
        swap: False moves the last ceil(n/2) places, True the first floor(n/2).
        condition_dim: size of the condition, which vectors are joined with; None without one.
    """

    name: ClassVar[str] = "coupling"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    network: Any
    transformer: AbstractTransformer
    swap: bool = eqx.field(static=True)
    condition_dim: int | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Shape,
        network: Any,
        transformer: AbstractTransformer,
        *,
        swap: bool = False,
        condition_dim: int | None = None,
    ):
        self.x_shape = self.z_shape = shape
        self.network, self.transformer = network, transformer
        self.swap, self.condition_dim = swap, condition_dim

    @property
    def condition_shape(self) -> Shape | None:
        return None if self.condition_dim is None else (self.condition_dim,)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        kept, moved = self._parts(x)
        moved, log_slope = self.transformer.forward(self._parameters(kept, moved, condition), moved)
        return self._joined(kept, moved), jnp.sum(log_slope)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        kept, moved = self._parts(z)
        moved, log_slope = self.transformer.inverse(self._parameters(kept, moved, condition), moved)
        return self._joined(kept, moved), jnp.sum(log_slope)

    def at_rest(self) -> "Coupling":
        if isinstance(self.network, _Constant):
            return self
        return eqx.tree_at(lambda la: la.network, self, replace_fn=silent)

    def _parameters(
        self, kept: Array, moved: Array, condition: Array | None
    ) -> Float[Array, "*moved P"]:
        known = kept
        if self.condition_dim is not None:
            known = jnp.concatenate([kept, check_condition(condition, self.condition_shape)])
        return self.network(known).reshape(*moved.shape, self.transformer.num_parameters)

    def _parts(self, value: Array) -> tuple[Array, Array]:
        """What is kept and what is moved."""
        middle = value.shape[-1] // 2
        first, last = value[..., :middle], value[..., middle:]
        return (last, first) if self.swap else (first, last)

    def _joined(self, kept: Array, moved: Array) -> Array:
        return jnp.concatenate([moved, kept] if self.swap else [kept, moved], axis=-1)


class _Constant(eqx.Module):
    """The network of nothing: one dimension, of which no half is known."""

    parameters: ContextVector

    def __call__(self, known: Float[Array, " 0"]) -> Float[Array, " P"]:
        return self.parameters()


def vector_coupling(
    dim: int,
    transformer: AbstractTransformer,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    condition_dim: int | None = None,
    key: PRNGKeyArray,
) -> Coupling:
    """Half of the dimensions of a vector moved, by a multilayer perceptron of the other half.

    Arguments:
        dim: number of dimensions D.
        transformer: what moves them, such as `AffineTransformer()` or `SplineTransformer(8)`.
        hidden, activation: of the network.
        condition_dim: size of the condition that the network reads too; None for none.
        key: of the network's parameters.
    """
    known = dim // 2 + (condition_dim or 0)
    size = (dim - dim // 2) * transformer.num_parameters
    network: Any = _Constant(ContextVector(jnp.zeros(size)))
    if known:
        network = conditioner(known, hidden, size, activation=activation, key=key)
    return Coupling((dim,), network, transformer, condition_dim=condition_dim)
