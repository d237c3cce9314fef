"""Minibatches of a plate: which rows run, and what keeps the log-joint unbiased.

    log p(x, z) = G(z) + sum_{n=1}^{N} R_n(z)
    minibatch   = G(z) + (N / B) sum_{n in batch} R_n(z)

Its mean over all batches of B rows is the whole log-joint, for values and gradients. That holds when
each R_n reads only its own row; a program that centres its data by the mean over rows must be given
centred data instead.

Arrays whose leading axis is N are gathered before the program runs, so that a program written for all
rows sees B of them. A program that indexes with what the plate hands it (`with plate as i: y[i]`) or
uses `numpyro.subsample` gets whole arrays and the batch's row numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from taut.errors import InputError, nearest

__all__ = ["Rows", "as_rows", "reached"]


class Rows(NamedTuple):
    """The plate whose rows are subsampled.

    Attributes:
        plate: its name.
        size: N.
        batch: B.
        indexed: whether the program gathers its rows itself, with the plate's row numbers.
    """

    plate: str
    size: int
    batch: int
    indexed: bool = False

    @property
    def scale(self) -> float:
        """N/B."""
        return self.size / self.batch

    def gathered(self, arrays: Any, index: Int[Array, " B"]) -> Any:
        """The batch's rows of every array whose leading axis is N; the others as they are."""
        if self.indexed or self.batch == self.size:
            return arrays

        def gather(array: Array) -> Array:
            if array.ndim == 0 or array.shape[0] != self.size:
                return array
            return array.at[index].get(mode="promise_in_bounds")

        return jax.tree.map(gather, arrays)

    def plate_index(self, index: Int[Array, " B"]) -> Int[Array, " B"]:
        """What the plate hands to the program: row numbers in the arrays that it sees."""
        return index if self.indexed else jnp.arange(self.batch)


def as_rows(subsample: dict[str, int], plates: dict[str, int]) -> Rows:
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
    ((plate, batch),) = subsample.items()
    if plate not in plates:
        raise InputError(
            "a plate of the program",
            f"'{plate}'",
            nearest(plate, plates) if plates else "numpyro.plate around the rows",
            where="subsample",
        )
    if not 1 <= batch <= plates[plate]:
        raise InputError(
            f"between 1 and {plates[plate]} rows of plate '{plate}'",
            f"{batch}",
            f"{min(1000, plates[plate])}",
            where="subsample",
        )
    return Rows(plate, plates[plate], batch)


def reached(jaxpr: Any, sources: Sequence[bool]) -> tuple[bool, list[bool]]:
    """Which results of a traced function depend on some of its arguments.

    Arguments:
        jaxpr: of the function.
        sources: for each flat argument, whether it is one of them.

    Returns:
        Whether any operation reads them, and for each flat result whether it depends on them.
        Operations with inner functions count as reading and writing in full.
    """
    tainted = {id(v) for v, source in zip(jaxpr.invars, sources, strict=True) if source}
    used = False
    for equation in jaxpr.eqns:
        if any(id(v) in tainted for v in equation.invars):
            used = True
            tainted |= {id(v) for v in equation.outvars}
    return used, [id(v) in tainted for v in jaxpr.outvars]
