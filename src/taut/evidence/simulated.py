"""Rows simulated from a model, with the latents that made them: exact draws of their posteriors.

z ~ p(z),  x ~ p(x | z)        so that z given x is a draw of p(z | x)

Cells that hide themselves do so by what was drawn, s ~ p(s | x), and z is a draw of p(z | x_o, s). Which
other cells are missing says nothing of z, and is taken from rows of a data set. So are the totals of
counts that are judged given these (`given_totals`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from taut.core import AbstractModel, Datum, as_proposal, num_rows
from taut.core.compiling import kept_jit
from taut.evidence.given_totals import drawn_given_totals
from taut.models import LatentVariableModel

__all__ = ["Simulated", "simulated"]


class Simulated(NamedTuple):
    """Rows and their latents.

    Attributes:
        rows: a batched datum, numbered from 0.
        z: the latent of each, a leading axis over rows.
    """

    rows: Datum
    z: Any


def simulated(
    model: AbstractModel, like: Datum, count: int, *, key: PRNGKeyArray, instead: str = ""
) -> Simulated:
    """Rows of the form of others.

    Arguments:
        model: p(x, z).
        like: rows whose types, and whose cells that are missing, the simulated ones have; these are
            drawn where the model says which are. Counts judged given the total of their row have the
            totals of these rows, in turn; the usual one where none of them has a count.
        count: number of rows.
        key: random key.
        instead: what to try where the model hardly ever makes such rows, beside another model.

    Raises:
        InputError: the model draws no latents, or makes no rows from them, or none with these totals.
    """
    if isinstance(model, LatentVariableModel) and model.likelihood.given_totals:
        z, x = _given_totals(model, like, count, key, instead)
    else:
        z, x = _drawn(model, key, count)
    first = jnp.asarray(like.x)
    x = jnp.asarray(x).reshape(count, *first.shape[1:]).astype(first.dtype)
    turn = np.arange(count) % num_rows(like)
    mask = None if like.mask is None else like.mask[turn]
    if isinstance(model, LatentVariableModel) and model.masking is not None:
        mask = _seen(model, x, jax.random.fold_in(key, 2))  # 0 and 1 are the keys of z and of x
    return Simulated(Datum(x, mask, index=jnp.arange(count, dtype=jnp.int32)), z)


def _given_totals(
    model: LatentVariableModel, like: Datum, count: int, key: PRNGKeyArray, instead: str
) -> tuple[Any, Any]:
    rows = np.asarray(like.x)
    mask = np.ones(rows.shape, bool) if like.mask is None else np.asarray(like.mask)
    totals = np.where(mask, rows, 0).reshape(len(rows), -1).sum(axis=1, dtype=np.float64)
    if not totals.any():
        totals[mask.reshape(len(rows), -1).any(axis=1)] = model.likelihood.usual_total
    turn = np.arange(count) % len(rows)
    whole = np.round(totals[turn]).astype(np.int64)
    return drawn_given_totals(model, whole, mask[turn], key=key, instead=instead)


@kept_jit
def _drawn(model: AbstractModel, key: PRNGKeyArray, count: int) -> tuple[Any, Any]:
    z_key, x_key = jax.random.split(key)
    z = as_proposal(model.prior()).draw(z_key, count).z
    return z, jax.vmap(model.sample)(z, jax.random.split(x_key, count))


@kept_jit
def _seen(model: LatentVariableModel, x: Array, key: PRNGKeyArray) -> Bool[Array, "..."]:
    """Which cells of rows are observed: s ~ p(s | x)."""
    seen: Any = model.seen(x, key)
    return seen
