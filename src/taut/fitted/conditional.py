"""Prediction of one column given the others, by the model of all of them.

    p(y = c | x_o) = p(x_o, y = c) / sum_c' p(x_o, y = c')

Every joint evidence is the model's own where it has one in closed form; else it is estimated by K draws,

    (1/K) sum_k p(x_o, y = c, z_k) / q(z_k | x_o, y = c),        z_k ~ q(z | x_o, y = c),

with the same random numbers for all classes. The ratio of such averages is biased by O(1/K). What else
is missing of a row is integrated out, never filled in. The column itself is left out, not missing: no
evidence has a factor for whether it is (`taut.models.LeftOut`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractPair, Datum, key_of_row, over_rows, particles
from taut.core.compiling import kept_jit
from taut.models import AbstractExactModel, LeftOut

__all__ = ["Conditional", "hidden", "joint_evidences"]

_DRAWS = 4096  # of rows and particles that are held together


class Conditional(NamedTuple):
    """The model itself predicts; its probabilities p become p^(1/T), normalised.

    Attributes:
        temperature: T, (); 1 for numbers.
    """

    temperature: Any


def hidden(rows: Datum, place: int) -> Datum:
    """Rows of a table without what they have in one column."""
    x, mask = np.array(rows.x), np.ones(np.shape(rows.x), bool)
    mask = mask if rows.mask is None else np.array(rows.mask)
    x[:, place], mask[:, place] = np.nan, False
    return Datum(x, mask, None, rows.index)


def joint_evidences(
    pair: AbstractPair,
    rows: Datum,
    values: Float[np.ndarray, "N V"] | Float[np.ndarray, " V"],
    place: int,
    *,
    num_particles: int,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "N V"]:
    """log p(x_o, y = v) of each row and value; a value that is NaN stands for log p(x_o).

    Arguments:
        pair: model and guide.
        rows: batched, with a mask.
        values: of each row, or of all rows alike.
        place: of the column.
        num_particles: K; of no account where the model has its evidence in closed form.
        key: random key; the draws of a row depend on its number in its data set alone, or else on that
            in the batch.
    """
    values = np.asarray(values, rows.x.dtype)
    tried = np.broadcast_to(values, (len(rows.x), values.shape[-1]))
    each = 1 if isinstance(pair.bind()[0], AbstractExactModel) else num_particles
    blocks = over_rows(
        lambda block, numbers, _: _block(pair, block, numbers, key, place, each),
        Datum(rows.x, rows.mask, tried, rows.index),
        width=max(1, _DRAWS // each),
    )
    return np.concatenate(list(blocks))


@kept_jit
def _block(
    pair: AbstractPair, block: Datum, numbers: Any, key: PRNGKeyArray, place: Any, count: int
) -> Float[Array, "B V"]:
    model, guide = LeftOut(pair, jnp.arange(block.x.shape[-1]) == place).bind()

    def joint(row: Datum, value: Array, row_key: PRNGKeyArray) -> Float[Array, ""]:
        x = jnp.asarray(row.x).at[place].set(value)
        datum = Datum(x, jnp.asarray(row.mask).at[place].set(~jnp.isnan(value)), None, row.index)
        if isinstance(model, AbstractExactModel):
            return model.log_evidence(datum)
        made = particles(model, guide, guide, datum, row_key, count)
        return jax.nn.logsumexp(made.log_mass + made.log_w)

    def one(row: Datum, number: Any) -> Float[Array, " V"]:
        row_key = key_of_row(key, row, number)
        return jax.lax.map(lambda value: joint(row, value, row_key), row.label)

    return jax.vmap(one)(block, numbers)
