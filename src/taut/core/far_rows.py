"""The rows that alone move a mean by more than its error, and the mean without them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from taut.core.estimate import ROW_FLAGS, Estimate
from taut.core.far_positions import far_positions
from taut.core.json_numbers import number_or_word

__all__ = ["FarRows", "far_rows", "far_rows_of"]


class FarRows(NamedTuple):
    """The rows that are far, and the mean without them.

    Attributes:
        rows: their numbers in the data set, the farthest first.
        values: what the quantity is for each of them.
        others: the mean over all other rows; None where there are none. Its error over draws is an
            upper bound, NaN where that of all rows is unknown.
    """

    rows: tuple[int, ...]
    values: tuple[float, ...]
    others: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {
            "rows": list(self.rows),
            "values": [number_or_word(value) for value in self.values],
            "others": self.others and self.others.to_dict(),
        }


def far_rows(estimate: Estimate) -> FarRows | None:
    """The far rows of an estimate; None where there are none, or where it kept no values."""
    if estimate.values is None:
        return None
    values = np.asarray(estimate.values, np.float64)
    positions = far_positions(values)
    if not positions.size:
        return None
    numbers = np.arange(values.size) if estimate.index is None else estimate.index
    return FarRows(
        rows=tuple(int(numbers[i]) for i in positions),
        values=tuple(float(values[i]) for i in positions),
        others=_without(estimate, positions) if positions.size < values.size else None,
    )


def far_rows_of(estimates: Mapping[str, Estimate]) -> dict[str, FarRows]:
    """The same of several estimates, of those that have any."""
    found = {name: far_rows(estimate) for name, estimate in estimates.items()}
    return {name: far for name, far in found.items() if far is not None}


def _without(estimate: Estimate, positions: np.ndarray) -> Estimate:
    """The mean over the rows at all other positions."""
    assert estimate.values is not None
    kept = np.delete(estimate.values, positions)
    index = None if estimate.index is None else np.delete(np.asarray(estimate.index), positions)
    mean = Estimate.from_rows(
        kept, side=estimate.side, index=index, unit=estimate.unit,
        flags=estimate.flags - ROW_FLAGS,
    )  # fmt: skip
    # The squares of the rows' errors add up to no more than those of all rows do.
    error = estimate.mc_error * estimate.count / kept.size
    return Estimate(**{**vars(mean), "mc_error": error})
