"""The identity with a scaled derivative: what goes back is multiplied, what goes forth is not."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["scaled"]


def scaled(tree: Any, factor: Float[Array, "*K"]) -> Any:
    """The same pytree, its floating-point arrays with their derivatives multiplied.

    Arguments:
        tree: arrays whose leading axes are those of `factor`, and anything else.
        factor: what each entry's derivative is multiplied by.
    """
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda leaf: _scaled(leaf, factor), arrays), rest)


@jax.custom_jvp
def _scaled(x: Array, factor: Array) -> Array:
    return x


@_scaled.defjvp
def _scaled_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    x, factor = primals
    aligned = jnp.reshape(factor, factor.shape + (1,) * (x.ndim - factor.ndim))
    return x, (aligned * tangents[0]).astype(x.dtype)
