"""The cells that a density is over: those that vary over the training rows.

A constant has no density, whatever its value: over the rows that it was seen in its probability is 1,
and it adds 0 nats. Models of numbers leave such cells out when they read a row, and put the known value
back when they write one.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

__all__ = ["Constants", "varying", "varying_places", "whole"]

Constants = tuple[tuple[int, float], ...]
"""(cell, value) of every constant cell of a flat row, by rising cell."""


def varying(cells: Shaped[Array, "*N D"], constants: Constants) -> Shaped[Array, "*N V"]:
    """The varying cells of flat rows."""
    return cells[..., _varying(cells.shape[-1], constants)] if constants else cells


def varying_places(places: Int[Array, "N m"], size: int, constants: Constants) -> Int[Array, "N m"]:
    """Places among the varying cells of what are places in flat rows of D cells.

    V stands for a constant cell, as for D, which is no cell.
    """
    if not constants:
        return places
    cells = _varying(size, constants)
    numbers = np.full(size + 1, len(cells))
    numbers[cells] = np.arange(len(cells))
    return jnp.asarray(numbers, places.dtype)[places]


def whole(
    cells: Shaped[Array, " V"], constants: Constants, shape: tuple[int, ...] | None
) -> Shaped[Array, "..."]:
    """A row of a shape (None for a flat one) from its varying cells."""
    if constants:
        size = cells.shape[0] + len(constants)
        row = np.zeros(size)
        row[[cell for cell, _ in constants]] = [value for _, value in constants]
        places = _varying(size, constants)
        cells = jnp.asarray(row, cells.dtype).at[places].set(cells)
    return cells.reshape(shape or -1)


def _varying(size: int, constants: Constants) -> Int[np.ndarray, " V"]:
    return np.delete(np.arange(size), [cell for cell, _ in constants])
