"""A table of variational parameters for rows that were not trained on, under a fixed model.

Each row climbs its own bound for a fixed number of steps that shrink towards zero. Blocks of rows
are fitted one after the other; as every row moves alone, they change no result but that of an estimator
which learns across rows. The objective is that of a run whose schedules are over: the steps of a row are
none of the steps over which its KL warms up.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, Datum, num_rows
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
        key: random key; block i draws from the i-th of the keys that it is split into.
        learning_rate: of Adam at the first step, from where it falls to 0 as a cosine.
        num_steps: of each row.

    Raises:
        InputError: rows without an index, or one index twice.
    """
    start = PerDatumGuide.start(family, rows)
    starts = range(0, num_rows(rows), _BLOCK)
    tables, numbers = [], []
    for first, block_key in zip(starts, jax.random.split(key, len(starts)), strict=True):
        block = jax.tree.map(lambda leaf, at=first: jnp.asarray(leaf[at : at + _BLOCK]), rows)
        order = np.argsort(np.asarray(block.index))
        block = jax.tree.map(lambda leaf, at=order: leaf[at], block)
        tables.append(
            _fitted(model, family, block, bound, gradient, block_key, learning_rate, num_steps)
        )
        numbers.append(np.asarray(block.index))
    order = np.argsort(np.concatenate(numbers))
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
    """The table of one block of rows, which are in the order of their numbers."""
    assert rows.index is not None
    zeros = jnp.zeros((num_rows(rows), family.num_features))
    algorithm = per_datum(
        model,
        PerDatumGuide(zeros, rows.index, family),
        bound,
        gradient,
        optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps)),
        example=jax.tree.map(lambda leaf: leaf[0], rows),
        key=key,
        settled=True,
    )
    state: Any = jax.lax.fori_loop(
        0, num_steps, lambda _, state: algorithm.step(state, rows)[0], algorithm.init()
    )
    return state.table
