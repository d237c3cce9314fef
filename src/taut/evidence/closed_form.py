"""log p(x) of models that have it in closed form: no draws, no bound."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from taut.core import Datum, Estimate, num_rows, padded_size
from taut.core.compiling import shared_jit
from taut.models import AbstractExactModel

__all__ = ["closed_form", "log_evidences"]

_BLOCK_ROWS = 512


def closed_form(model: AbstractExactModel, rows: Datum) -> Estimate:
    """The model's own log-evidence of the observed cells, nats per row; exact.

    Arguments:
        model: p(x, z).
        rows: a batched datum.
    """
    total = num_rows(rows)
    width = min(_BLOCK_ROWS, padded_size(total))
    values = []
    for first in range(0, total, width):
        # Filled up with its last row, so that few compiled shapes serve all numbers of rows.
        numbers = np.minimum(np.arange(first, first + width), total - 1)
        block = Datum(*(None if v is None else v[numbers] for v in (rows.x, rows.mask)))
        values.append(np.asarray(log_evidences(model, block), np.float64)[: total - first])
    return Estimate.from_rows(np.concatenate(values), side="exact", index=rows.index)


@shared_jit
def log_evidences(model: Any, block: Datum) -> Float[Array, " N"]:
    """log p(x) of the rows of a block, nats."""
    return jax.vmap(model.log_evidence)(block)
