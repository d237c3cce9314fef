"""`Datum`: one row of data, the unit that every model, guide and bound works on.

Methods throughout the library are written for one datum; `jax.vmap` batches them. A batch is the same
object with a leading axis on every part that is present.
"""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Bool, Float, Int

__all__ = ["Datum", "num_rows"]


class Datum(eqx.Module):
    """One row.

    Attributes:
        x: the observation, of the data's shape (a pytree for programs over several arrays).
        mask: True where a cell of `x` is observed, of the shape of `x`; None when all are.
        label: what a supervised part predicts; None when there is none.
        index: the row's number in its data set, which keys per-datum guides.
        weight: the row's factor in a sum over data (N/B for a minibatch of a plate); None is 1.
    """

    x: Any
    mask: Bool[Any, "..."] | None = None
    label: Any = None
    index: Int[Any, "..."] | None = None
    weight: Float[Any, "..."] | None = None


def num_rows(batch: Datum) -> int:
    """The length of the leading axis of a batch."""
    return jax.tree.leaves(batch)[0].shape[0]
