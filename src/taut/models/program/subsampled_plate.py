"""Minibatches of a plate: which of its rows enter, and what keeps the log-joint unbiased.

    log p(x, z) = G(z) + sum_{n=1}^{N} R_n(z)
    minibatch   = G(z) + (N / B) sum_{n in batch} R_n(z)

Its mean over all batches of B rows is the whole log-joint, for values and gradients. That holds when
each R_n reads only its own row; a program that centres its data by the mean over rows must be given
centred data instead.

Arrays whose leading axis is N are gathered before the program runs, so that a program written for all
rows sees B of them. A program that indexes with what the plate hands it (`with plate as i: y[i]`) or
uses `numpyro.subsample` gets whole arrays and the batch's row numbers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from taut.errors import InputError, nearest

__all__ = ["SubsampledPlate", "subsampled_plate"]


class SubsampledPlate(NamedTuple):
    """A plate of which a program sees a minibatch of rows.

    Attributes:
        name: of the plate.
        size: N.
        batch_size: B.
        indexed: whether the program gathers its rows itself, with the plate's row numbers.
    """

    name: str
    size: int
    batch_size: int
    indexed: bool = False

    @property
    def scale(self) -> float:
        """N/B."""
        return self.size / self.batch_size

    @property
    def partial(self) -> bool:
        """Whether the batch leaves rows out."""
        return self.batch_size < self.size

    def gathered(self, arrays: Any, index: Int[Array, " B"]) -> Any:
        """The batch's rows of every array whose leading axis is N; the others as they are."""
        if self.indexed or not self.partial:
            return arrays

        def gather(array: Array) -> Array:
            if array.ndim == 0 or array.shape[0] != self.size:
                return array
            return array.at[index].get(mode="promise_in_bounds")

        return jax.tree.map(gather, arrays)

    def row_numbers(self, rows: Int[Array, " B"]) -> Int[Array, " B"]:
        """What the plate hands to the program: row numbers in the arrays that it sees."""
        return rows if self.indexed else jnp.arange(self.batch_size)


def subsampled_plate(subsample: dict[str, int], plates: dict[str, int]) -> SubsampledPlate:
    """The plate that a user asks to subsample.

    Arguments:
        subsample: rows in a batch by name of the plate; one entry.
        plates: sizes of the program's plates by name.

    Raises:
        InputError: no such plate; more than one; a batch that is empty or larger than the plate.
    """
    if len(subsample) != 1:
        raise InputError(
            "one plate to subsample",
            ", ".join(subsample) or "none",
            "the plate with the most rows",
            where="subsample",
        )
    ((name, batch_size),) = subsample.items()
    if name not in plates:
        raise InputError(
            "a plate of the program",
            f"'{name}'",
            nearest(name, plates) if plates else "numpyro.plate around the rows",
            where="subsample",
        )
    if not 1 <= batch_size <= plates[name]:
        raise InputError(
            f"between 1 and {plates[name]} rows of plate '{name}'",
            f"{batch_size}",
            f"{min(1000, plates[name])}",
            where="subsample",
        )
    return SubsampledPlate(name, plates[name], batch_size)
