"""Rows without an observed cell: there is no x_o, and log p(x_o) = log 1 = 0 nats by any model."""

import numpy as np
from jaxtyping import Bool

from taut.data.dataset import Data, Dataset
from taut.errors import counted

__all__ = ["empty_rows_note"]


def empty_rows_note(data: Data) -> tuple[str, ...]:
    """A note of how many training and test rows have no observed cell, if any.

    It is for densities of the observed cells alone. Training rows on disk are not read for it.
    """
    parts = {"training": data.train, "test": data.test}
    held = {name: rows for name, rows in parts.items() if isinstance(rows, Dataset)}
    numbers = {name: int(_empty(rows).sum()) for name, rows in held.items()}
    told = [
        f"{number:,} of {counted(len(held[name]), f'{name} row')}"
        for name, number in numbers.items()
        if number
    ]
    if not told:
        return ()
    one = sum(numbers.values()) == 1
    return (
        f"{' and '.join(told)} {'has' if one else 'have'} no observed cell: the log-evidence of "
        f"{'it' if one else 'each'} is 0 nats, and counts in the mean",
    )


def _empty(rows: Dataset) -> Bool[np.ndarray, " N"]:
    """True for the rows without an observed cell."""
    if rows.mask is None:
        return np.zeros(len(rows), bool)
    return np.asarray(~rows.mask.reshape(len(rows), -1).any(axis=1))
