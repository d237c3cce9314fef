"""One compiled program for all rows: B places, each taken by the next row when the one in it has ended.

A row that is done leaves, so that it costs nothing. When none is waiting and few are left, those go on
in a narrower block. Draws are keyed by the row's number: no result depends on the blocks.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from taut.core.compiling import kept_jit
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.row_state import RowState, is_done

__all__ = ["all_ended", "steps_of"]

_TRIES = 8  # before the host looks which rows are done
_NARROWER, _NARROWEST = 8, 8  # each width is a program of its own, which takes seconds to compile


def all_ended(ascent: Ascent, x: np.ndarray, z: np.ndarray, keys: Any, *, width: int) -> RowState:
    """The last state of every row, with a leading axis, on the host.

    Arguments:
        ascent: what they share.
        x: rows, (N, *shape).
        z: where each begins, (N, d).
        keys: (N,).
        width: B, places at once; some stay empty where there are fewer rows.
    """
    num, narrow = len(x), width // _NARROWER
    if narrow >= _NARROWEST and num <= narrow:
        width = narrow
    ended: list[Any] = [None] * num
    places, waiting = np.arange(width), min(width, num)
    inside, rows = np.where(places < num, places, -1), np.minimum(places, num - 1)
    states = _placed(ascent, x[rows], z[rows], keys[rows])
    while True:
        states = _advanced(ascent, states, _TRIES)
        done = np.asarray(is_done(states)) & (inside >= 0)
        if not done.any():
            continue
        found = jax.tree.map(np.asarray, states._replace(key=jnp.zeros(len(inside))))
        for place in np.flatnonzero(done):
            ended[inside[place]] = jax.tree.map(lambda leaf, i=place: leaf[i], found)
        inside = np.where(done, -1, inside)
        fresh = np.flatnonzero(done)[: num - waiting]
        if len(fresh):
            inside[fresh] = np.arange(waiting, waiting + len(fresh))
            waiting += len(fresh)
            rows = np.where(inside >= 0, inside, 0)
            new = _placed(ascent, x[rows], z[rows], keys[rows])
            states = _merged(np.isin(np.arange(len(inside)), fresh), new, states)
        left = np.flatnonzero(inside >= 0)
        if not len(left):
            return jax.tree.map(lambda *leaves: np.stack(leaves), *ended)
        narrow = len(inside) // _NARROWER
        if waiting == num and narrow >= _NARROWEST and len(left) <= narrow:
            places = np.resize(left, narrow)
            states = jax.tree.map(lambda leaf, p=places: leaf[p], states)
            inside = np.where(np.arange(narrow) < len(left), inside[places], -1)


def steps_of(ascent: Ascent, x: np.ndarray, z: np.ndarray, keys: Any) -> Iterator[RowState]:
    """The states of some rows, at the start and after each try, until all of them are done."""
    states = _advanced(ascent, _placed(ascent, x, z, keys), 1)
    yield states
    while not np.asarray(is_done(states)).all():
        states = _advanced(ascent, states, 1)
        yield states


@kept_jit
def _placed(ascent: Ascent, x: Any, z: Any, keys: Any) -> RowState:
    return jax.vmap(ascent.place)(jnp.asarray(x), jnp.asarray(z), keys)


@kept_jit
def _advanced(ascent: Ascent, states: RowState, tries: Any) -> RowState:
    return jax.lax.fori_loop(
        0, jnp.asarray(tries), lambda _, s: jax.vmap(ascent.advance)(s), states
    )


@kept_jit
def _merged(fresh: Any, new: RowState, old: RowState) -> RowState:
    def chosen(a: Any, b: Any) -> Any:
        return jnp.where(fresh.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(chosen, new, old)
