"""Finite fibres: how large they may be, and rows that have none."""

import numpy as np
from jaxtyping import Array, Bool

from taut.core import InputError
from taut.transforms.chain_proposal import MOST_PATHS

__all__ = ["refuse_cells", "refuse_large_fibre"]


def refuse_large_fibre(name: str, count: str, size: int) -> None:
    """Raise where `size` outcomes, written as `count`, are more than are summed over.

    Raises:
        InputError: names the count.
    """
    if size > MOST_PATHS:
        number = f"{count} = {size}" if size < 10**12 else count
        raise InputError(
            f"at most {MOST_PATHS} latents that one row can have, to sum over all of them",
            f"{name} with {number}",
            "drawing z, which gives a lower bound, or fewer dimensions",
            where="latents",
        )


def refuse_cells(
    bad: Bool[np.ndarray, "..."],
    x: np.ndarray | Array,
    *,
    where: str,
    expected: str,
    remedy: str,
) -> None:
    """Raise about the first cell of rows, (N, *x_shape), that is True in `bad`, if there is one."""
    if bad.any():
        row, *cell = (int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        place = f", cell {cell[0] if len(cell) == 1 else tuple(cell)}" if cell else ""
        found = f"{float(x[(row, *cell)]):g}"
        raise InputError(expected, found, remedy, where=f"{where}, row {row}{place}")
