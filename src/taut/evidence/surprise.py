"""How surprising each cell of a row is given the other observed ones, of a model with exact evidence.

    s_d(x) = -log p(x_d | x_rest) = log p(x_rest) - log p(x)        nats
    excess = s_d(x) - E[s_d(x')],    x' ~ p

Densities have units and entropies differ; the excess has neither: it is above 0 where a cell is less
probable, given the rest of its row, than the model expects of its column.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum, as_proposal, over_rows
from taut.core.compiling import kept_jit
from taut.models import AbstractExactModel

__all__ = ["excess_surprise", "surprise"]

_BLOCK_CELLS = 2**20  # numbers that a block of rows may need: 8 MiB in float64
_SIMULATED = 1000  # rows: the mean of each column is known to a thirtieth of its own deviation
_STREAM = 0


def surprise(model: AbstractExactModel, rows: Datum) -> Float[np.ndarray, "N ..."]:
    """s_d of every cell of the rows, of the shape of x; 0 where a cell is missing. Exact.

    Arguments:
        model: p(x, z).
        rows: a batched datum.
    """
    shape, size = np.shape(rows.x)[1:], int(np.prod(np.shape(rows.x)[1:]))
    width = max(1, _BLOCK_CELLS // (size * (size + model.width_with_holes(size))))
    blocks = over_rows(
        lambda block, *_: _surprises(model, block), Datum(rows.x, rows.mask), width=width
    )
    return np.concatenate([np.asarray(block, np.float64) for block in blocks]).reshape(-1, *shape)


def excess_surprise(
    model: AbstractExactModel, rows: Datum, *, key: PRNGKeyArray
) -> Float[np.ndarray, "N ..."]:
    """s_d less its mean over rows that the model makes; 0 where a cell is missing.

    Arguments:
        model: p(x, z).
        rows: a batched datum.
        key: of the simulated rows, whole ones.
    """
    z_key, x_key = jax.random.split(jax.random.fold_in(key, _STREAM))
    z = as_proposal(model.prior()).draw(z_key, _SIMULATED).z
    made = jax.vmap(model.sample)(z, jax.random.split(x_key, _SIMULATED))
    found = surprise(model, rows)
    usual = surprise(model, Datum(np.asarray(made))).mean(axis=0)
    return found - usual if rows.mask is None else np.where(rows.mask, found - usual, 0.0)


@kept_jit
def _surprises(model: Any, block: Datum) -> Float[Array, "B D"]:
    def one(row: Datum) -> Array:
        seen = jnp.ones(row.x.shape, bool) if row.mask is None else row.mask
        others = ~jnp.eye(row.x.size, dtype=bool).reshape(-1, *row.x.shape) & seen
        rest = jax.vmap(lambda mask: model.log_evidence(Datum(row.x, mask)))(others)
        return rest - model.log_evidence(row)

    return jax.vmap(one)(block)
