"""What an encoder sees of a row with holes.

    x                    0, the column's centre, where a cell is not observed
    x, m beside it       where the training rows have holes; m = 1 for an observed cell, else 0

Without m a hole looks like a cell at the centre of its column.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["filled", "marked_shape"]


def filled(
    x: Float[Array, "..."], mask: Bool[Array, "..."] | None, *, marked: bool
) -> Float[Array, "..."]:
    """A row, standardised, as an encoder reads it.

    Arguments:
        x: anything, NaN included, in cells that are not observed.
        mask: True where a cell is observed; None where all are.
        marked: the mask goes beside x.
    """
    if mask is not None:
        x = jnp.where(mask, x, 0.0)
    if not marked:
        return x
    seen = jnp.ones_like(x) if mask is None else mask.astype(x.dtype)
    flat_image = x.ndim == 2
    return jnp.stack([x, seen], axis=-1) if flat_image else jnp.concatenate([x, seen], axis=-1)


def marked_shape(shape: Sequence[int], *, marked: bool) -> tuple[int, ...]:
    """The shape of `filled`: twice the columns of a table, twice the channels of an image."""
    if not marked:
        return tuple(shape)
    return (*shape, 2) if len(shape) == 2 else (*shape[:-1], 2 * shape[-1])
