"""Holes: the cells of a batch of rows that were not observed.

With the observed cells o and the missing cells m of a row, and P the inverse of a covariance S, the
blocks of a few missing cells tell all that those of many observed ones would:

    x_m | x_o ~ N(mu_m - P_mm^-1 P_mo (x_o - mu_o), P_mm^-1)
    log |S_oo| = log |S| + log |P_mm|
    d_o^T S_oo^-1 d_o = d^T P d   with d_m = -P_mm^-1 P_mo d_o
"""

from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

__all__ = ["WRITTEN_OUT", "Holes", "blocks_of_missing", "holes_of", "multiplied", "swept"]

WRITTEN_OUT = 8  # rows of a matrix: twice as many take a second longer to compile


class Holes(NamedTuple):
    """Which cells are missing, of rows with at most m such cells.

    Attributes:
        mask: True where a cell is observed, (N, *shape).
        places: numbers of the missing cells of the flat row, rising, filled up with D, (N, m).
    """

    mask: Bool[Array, "N ..."]
    places: Int[Array, "N m"]


def holes_of(mask: Bool[Array | np.ndarray, "N ..."], most: int) -> Holes:
    """The holes of rows with at most so many; of NumPy arrays or JAX's."""
    given: Any = mask
    xp = given.__array_namespace__()
    flat = given.reshape(len(given), -1)
    first = xp.argsort(flat, axis=1, stable=True)[:, :most].astype(xp.int32)
    missing = xp.arange(most) < xp.sum(~flat, axis=1)[:, None]
    return Holes(given, xp.where(missing, first, xp.int32(flat.shape[1])))


def blocks_of_missing(
    precision: Float[Array, "D D L"], places: Int[Array, "m N"]
) -> Float[Array, "m m N L"]:
    """P_mm of every row and component, with ones on the diagonal where a row has fewer than m."""
    size = precision.shape[0]
    bordered = jnp.pad(precision, ((0, 1), (0, 1), (0, 0)))
    block = bordered[places[:, None], places[None, :]]
    filled = (places == size)[:, None] & jnp.eye(len(places), dtype=bool)[..., None]
    return jnp.where(filled[..., None], 1.0, block)


def swept(
    matrix: Float[Array, "m m *L"],
) -> tuple[Float[Array, "m m *L"], Float[Array, "*L"]]:
    """The inverses of positive definite matrices, and the logarithms of their determinants.

    All matrices are worked on at once: few and small as they are, a library's call for each would cost
    more than its work. Up to `WRITTEN_OUT` rows every operation is one of the program's own, by halves;
    the program of more rows is a loop, which does not grow with them.
    """
    return _by_halves(matrix) if len(matrix) <= WRITTEN_OUT else _by_exchange(matrix)


def _by_halves(
    matrix: Float[Array, "m m *L"],
) -> tuple[Float[Array, "m m *L"], Float[Array, "*L"]]:
    """With S = C - B^T A^-1 B and the share G = A^-1 B,

    [A   B]^-1     [A^-1 + G S^-1 G^T   -G S^-1]
    [B^T C]     =  [-S^-1 G^T              S^-1],        |A B; B^T C| = |A| |S|
    """
    if len(matrix) == 1:
        return 1 / matrix, jnp.log(matrix[0, 0])
    half = len(matrix) // 2
    first, log_first = _by_halves(matrix[:half, :half])
    share = multiplied(first, matrix[:half, half:])
    turned = jnp.swapaxes(share, 0, 1)
    last, log_last = _by_halves(matrix[half:, half:] - multiplied(turned, matrix[:half, half:]))
    corner = -multiplied(share, last)
    above = jnp.concatenate([first - multiplied(corner, turned), corner], axis=1)
    below = jnp.concatenate([jnp.swapaxes(corner, 0, 1), last], axis=1)
    return jnp.concatenate([above, below]), log_first + log_last


def multiplied(a: Float[Array, "i k *#L"], b: Float[Array, "k j *#L"]) -> Float[Array, "i j *#L"]:
    """Matrix products, as sums that run along all matrices at once."""
    return reduce(jnp.add, (a[:, k, None] * b[None, k] for k in range(len(b))))


def _by_exchange(
    matrix: Float[Array, "m m *L"],
) -> tuple[Float[Array, "m m *L"], Float[Array, "*L"]]:
    """Each step exchanges one coordinate of y = A x for the same one of x (Gauss-Jordan)."""
    size = matrix.shape[0]

    def step(
        i: Array, now: tuple[Float[Array, "m m *L"], Float[Array, "*L"]]
    ) -> tuple[Float[Array, "m m *L"], Float[Array, "*L"]]:
        a, log_determinant = now
        pivot, here = a[i, i], jnp.arange(size) == i
        here = here.reshape(-1, *[1] * (a.ndim - 2))
        row, column = jnp.where(here, 1.0, a[i]) / pivot, jnp.where(here, 0.0, a[:, i])
        kept = jnp.where(here[:, None] | here[None], 0.0, a)
        # Off row i: a - column row; the column itself becomes -column / pivot, the row its share.
        moved = kept - column[:, None] * row[None] + jnp.where(here[:, None], row[None], 0.0)
        return moved, log_determinant + jnp.log(pivot)

    return jax.lax.fori_loop(0, size, step, (matrix, jnp.zeros(matrix.shape[2:], matrix.dtype)))
