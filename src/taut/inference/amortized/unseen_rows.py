"""A table of variational parameters for rows that were not trained on, under a fixed model.

Each row climbs its own bound for a fixed number of steps that shrink towards zero: a batch of its own,
with draws and an estimator's state of its own, whatever rows stand around it. The objective is that of a
run whose schedules are over: the steps of a row are none of the steps over which its KL warms up.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, Datum, key_of_row, num_rows
from taut.core.compiling import kept_jit
from taut.gradients import AbstractEstimator
from taut.guides import AbstractFamily, PerDatumGuide
from taut.inference.amortized.per_datum import per_datum

__all__ = ["table_for"]

_BLOCK = 512  # rows at once, a bound on memory


def table_for(
    model: AbstractModel,
    family: AbstractFamily,
    rows: Datum,
    bound: AbstractBound,
    gradient: AbstractEstimator,
    key: PRNGKeyArray,
    *,
    learning_rate: float,
    num_steps: int,
) -> PerDatumGuide:
    """A guide for given rows, fitted by ascent of each row's own bound.

    Arguments:
        model: p(x, z), which stays as it is.
        family: variational family.
        rows: batched, with the numbers that the guide will find them by.
        bound: what is maximised.
        gradient: how it is differentiated.
        key: random key; a row draws from its `key_of_row`.
        learning_rate: of Adam at the first step, from where it falls to 0 as a cosine.
        num_steps: of each row.

    Raises:
        InputError: rows without an index, or one index twice.
    """
    start = PerDatumGuide.start(family, rows)
    tables = []
    for first in range(0, num_rows(rows), _BLOCK):
        block = jax.tree.map(lambda leaf, at=first: jnp.asarray(leaf[at : at + _BLOCK]), rows)
        tables.append(_fitted(model, family, block, bound, gradient, key, learning_rate, num_steps))
    order = np.argsort(np.asarray(rows.index))
    return PerDatumGuide(jnp.concatenate(tables)[order], start.numbers, family)


@kept_jit
def _fitted(
    model: AbstractModel,
    family: AbstractFamily,
    rows: Datum,
    bound: AbstractBound,
    gradient: AbstractEstimator,
    key: PRNGKeyArray,
    learning_rate: float,
    num_steps: int,
) -> Float[Array, "n F"]:
    """The entries of one block of rows."""

    def one(row: Datum) -> Float[Array, " F"]:
        alone = jax.tree.map(lambda leaf: leaf[None], row)
        assert alone.index is not None
        algorithm = per_datum(
            model,
            PerDatumGuide(jnp.zeros((1, family.num_features)), alone.index, family),
            bound,
            gradient,
            optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps)),
            example=row,
            key=key_of_row(key, row, 0),
            settled=True,
        )
        state: Any = jax.lax.fori_loop(
            0, num_steps, lambda _, state: algorithm.step(state, alone)[0], algorithm.init()
        )
        return state.table[0]

    return jax.vmap(one)(rows)
