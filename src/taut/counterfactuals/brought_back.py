"""Answers whose start satisfies all that is asked, brought back to the level where the row does not.

Starts beyond the first lie about the row's code at random, and some of them far beyond the level. Where
the code itself satisfies, nothing has to change, and they stay where they are; elsewhere

    z, z_0      a start that satisfies, and the code that does not

are bisected as the first answer of a search and the point before it are.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from taut.core.compiling import kept_jit
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.judged import in_blocks
from taut.counterfactuals.row_state import RETURNING, RowState, is_done, with_rows

__all__ = ["Codes", "brought_back", "codes_of"]


class Codes(NamedTuple):
    """The codes of rows, for each of their searches.

    Attributes:
        z: (M, d).
        satisfied: whether the code has all that is asked, (M,).
    """

    z: Float[np.ndarray, "M d"]
    satisfied: Bool[np.ndarray, " M"]


def codes_of(
    ascent: Ascent, z: Float[np.ndarray, "N d"], ended: RowState, *, num_answers: int
) -> Codes:
    """What the first search of each row, which begins at the code, says of it.

    Arguments:
        ascent: what they share.
        z: codes of the rows.
        ended: all searches at their end, row by row.
        num_answers: of each row.
    """
    satisfied = _at_once(ascent, ended)[::num_answers]
    return Codes(np.repeat(z, num_answers, axis=0), np.repeat(satisfied, num_answers))


def brought_back(ascent: Ascent, codes: Codes, keys: Any, ended: RowState) -> RowState:
    """Searches at their end, those that ended where they began bisected towards the code.

    Arguments:
        ascent: what they share.
        codes: of the row of each search.
        keys: of each search.
        ended: as the ascent left them.
    """
    places = np.flatnonzero(_at_once(ascent, ended) & ~codes.satisfied)
    if not len(places):
        return ended
    begun = jax.tree.map(lambda leaf: leaf[places], ended)
    begun = begun._replace(low=codes.z[places], key=keys[places])
    leaves, tree = jax.tree.flatten(begun)
    back = in_blocks(lambda *some: _returned(ascent, jax.tree.unflatten(tree, some)), *leaves)

    return with_rows(ended, places, back._replace(key=ended.key[places]))


def _at_once(ascent: Ascent, ended: RowState) -> Bool[np.ndarray, " M"]:
    """Which searches satisfy all that is asked where they began."""
    return np.asarray(jax.vmap(ascent.satisfied)(ended.at)) & (ended.tries == 0)


@kept_jit
def _returned(ascent: Ascent, states: RowState) -> RowState:
    """The last states of a block of rows between their starts and their codes."""
    end = jax.lax.while_loop(
        lambda states: ~jnp.all(is_done(states)),
        jax.vmap(ascent.advance),
        states._replace(phase=jnp.full_like(states.phase, RETURNING)),
    )
    return end._replace(key=jnp.zeros(len(states.tries)))
