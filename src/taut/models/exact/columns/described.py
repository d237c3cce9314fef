"""Parameters of components by column, each under a name of its own, as a table holds them."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Described", "named_apart"]


class Described(NamedTuple):
    """A parameter of the components.

    Attributes:
        name: what a table calls it.
        column: its place among the columns.
        values: of every component, (K,).
    """

    name: str
    column: int
    values: Float[np.ndarray, " K"]


def named_apart(parameters: Iterable[Described]) -> dict[str, Float[np.ndarray, " K"]]:
    """The parameters by their names; where several columns lead to one name, with the column's place."""
    found = list(parameters)
    while len(counts := Counter(one.name for one in found)) < len(found):
        found = [
            one._replace(name=f"{one.name} (column {one.column})") if counts[one.name] > 1 else one
            for one in found
        ]
    return {one.name: one.values for one in found}
