"""Quantiles of a missing cell given the observed ones, by a model with an exact posterior.

    q_p = min {v : P(x_d <= v | x_o) >= p}
    m - s sqrt((1 - p) / p)  <=  q_p  <=  m + s sqrt(p / (1 - p))

with m and s the mean and standard deviation of the cell given x_o. q_p is bisected between these ends,
which are Cantelli's inequality, among whole numbers first: where q_p is one, it is met there. Other
values with a probability of their own are met exactly, too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import Datum, num_rows, over_rows
from taut.core.compiling import kept_jit
from taut.models import AbstractExactModel

__all__ = ["cell_quantiles"]

_BLOCK_CELLS = 2**22  # numbers that a block of rows may need: 32 MiB in float64
_HALVINGS = 200  # of an interval: neighbouring numbers are reached earlier, but for those next to 0


def cell_quantiles(
    model: AbstractExactModel, rows: Datum, place: int, levels: Sequence[float]
) -> Float[np.ndarray, "L N"]:
    """The quantiles of one cell of each row, in the data's own units; exact.

    Arguments:
        model: whose conditionals they are.
        rows: batched; the cell is missing in all of them.
        place: of the cell in a flat row.
        levels: p of each, above 0 and below 1.
    """
    wanted, size = np.asarray(levels), int(np.prod(np.shape(rows.x)[1:]))
    cells = model.width_with_holes(size) + size**2
    blocks = over_rows(
        lambda block, *_: _of_rows(model, block, wanted, place),
        Datum(rows.x, rows.mask),
        width=max(1, min(_BLOCK_CELLS // cells, num_rows(rows))),
    )
    return np.concatenate([np.asarray(block, np.float64) for block in blocks]).T


@kept_jit
def _of_rows(model: Any, block: Datum, levels: Float[Array, " L"], place: int) -> Array:
    def one(row: Datum) -> Float[Array, " L"]:
        cumulative, given = model.cumulative(row, place), model.given(row)
        mean, deviation = given.mean.reshape(-1)[place], given.deviation.reshape(-1)[place]
        odds = jnp.sqrt(levels / (1 - levels)).astype(mean.dtype)
        ends = mean - deviation / odds, mean + deviation * odds
        return jax.vmap(lambda p, low, high: _bisected(cumulative, p, low, high))(levels, *ends)

    return jax.vmap(one)(block)


def _bisected(
    cumulative: Callable[[Array], Array], level: Array, low: Array, high: Array
) -> Float[Array, ""]:
    """The least v above `low` whose cumulative probability is `level` or more; `high` is one."""

    def halved(state: tuple[Array, Array, Array], middle: Array) -> tuple[Array, Array, Array]:
        number, low, high = state
        reached = cumulative(middle) >= level
        return number + 1, jnp.where(reached, low, middle), jnp.where(reached, middle, high)

    def among_whole(state: tuple[Array, Array, Array]) -> Array:
        number, low, high = state
        return (number < _HALVINGS) & (high - low > 1)

    def apart(state: tuple[Array, Array, Array]) -> Array:
        number, low, high = state
        middle = 0.5 * (low + high)
        return (number < _HALVINGS) & (low < middle) & (middle < high)

    start = jnp.zeros((), int), jnp.floor(low), jnp.ceil(high)
    whole = jax.lax.while_loop(
        among_whole, lambda s: halved(s, jnp.floor(0.5 * (s[1] + s[2]))), start
    )
    low, high = whole[1:]
    # Numbers lie so close together around 0 that halving would not reach it, but for this.
    below = jnp.where(high == 0, -jnp.finfo(high.dtype).tiny, jnp.nextafter(high, low))
    low = jnp.where(cumulative(below) < level, high, low)
    start = jnp.zeros((), int), low, high
    return jax.lax.while_loop(apart, lambda s: halved(s, 0.5 * (s[1] + s[2])), start)[2]
