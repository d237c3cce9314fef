"""The average over a batch of what an estimator returns for each datum.

    mean_i weight_i surrogate_i + mean_i aux_surrogate_i

Row i draws from key i.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.gradients import Surrogate

__all__ = ["BatchSurrogate", "Prepare", "batch_surrogate", "row_key"]

Prepare = Callable[[Datum, PRNGKeyArray], Datum]


class BatchSurrogate(NamedTuple):
    """Batch means.

    Attributes:
        value: of the weighted reported values, nats per row, ().
        surrogate: of the weighted surrogates plus the estimator's own, to be differentiated, ().
        statistics: of the estimator's statistics.
    """

    value: Float[Array, ""]
    surrogate: Float[Array, ""]
    statistics: Any


def batch_surrogate(
    one: Callable[..., Surrogate],
    batch: Datum,
    keys: Array,
    *per_row: Any,
    prepare: Prepare | None = None,
) -> BatchSurrogate:
    """Average over a batch.

    Arguments:
        one: (datum, key, *its entries of `per_row`) -> what an estimator returns.
        batch: a batched datum.
        keys: random keys of the rows, (B,).
        per_row: arrays or pytrees with the batch's leading axis.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        batch means; the estimator's own surrogate enters with a minus sign, for it is minimised.
    """

    def prepared(datum: Datum, datum_key: PRNGKeyArray, *entries: Any) -> Surrogate:
        return one(*row_key(datum, datum_key, prepare=prepare), *entries)

    out = jax.vmap(prepared)(batch, keys, *per_row)
    weight = 1.0 if batch.weight is None else batch.weight
    return BatchSurrogate(
        value=jnp.mean(weight * out.value),
        surrogate=jnp.mean(weight * out.surrogate) - jnp.mean(jnp.asarray(out.aux_surrogate)),
        statistics=jax.tree.map(lambda s: jnp.mean(s, axis=0), out.statistics),
    )


def row_key(
    datum: Datum, key: PRNGKeyArray, *, prepare: Prepare | None
) -> tuple[Datum, PRNGKeyArray]:
    """What the model sees of a stored row, and the key that remains for its draws."""
    if prepare is None:
        return datum, key
    prepare_key, key = jax.random.split(key)
    return prepare(datum, prepare_key), key
