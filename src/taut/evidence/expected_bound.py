"""Any bound on given rows, averaged over independent repeats of its draws."""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import (
    AbstractPair,
    Datum,
    Estimate,
    check_count,
    key_of_row,
    option,
    over_rows,
    particles,
)
from taut.core.compiling import steady_jit

__all__ = ["expected_bound"]

_BLOCK_ROWS = 512


def expected_bound(
    pair: AbstractPair,
    rows: Datum,
    bound: AbstractBound,
    *,
    key: PRNGKeyArray,
    num_repeats: int = 2,
) -> Estimate:
    """The mean over rows of the mean over repeats of a bound, nats per row.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        bound: what is averaged; the side of the result is its own.
        key: random key.
        num_repeats: independent values per row; the Monte Carlo error is unknown (NaN) for one.
    """
    where = option("num_repeats")
    num_repeats = check_count(num_repeats, "at least one repeat", "16", where=where)

    def repeats(block: Datum, numbers: Any, _: Any) -> Float[Array, "N R"]:
        return _repeats(pair, bound, block, numbers, key, num_repeats)

    blocks = over_rows(repeats, rows, width=_BLOCK_ROWS)
    values = np.concatenate([np.asarray(block, np.float64) for block in blocks])
    errors = math.nan
    if num_repeats > 1:
        with np.errstate(invalid="ignore"):  # infinite values have no error
            errors = values.std(axis=1, ddof=1) / math.sqrt(num_repeats)
    return Estimate.from_rows(
        values.mean(axis=1), side=bound.side, mc_errors=errors, index=rows.index
    )


@steady_jit
def _repeats(
    pair: AbstractPair,
    bound: AbstractBound,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    num_repeats: int,
) -> Float[Array, "N R"]:
    model, guide = pair.bind()

    def one(datum: Datum, number: Any) -> Float[Array, " R"]:
        def repeat(repeat_key: PRNGKeyArray) -> Float[Array, ""]:
            return bound(particles(model, guide, guide, datum, repeat_key, bound.minted))

        return jax.vmap(repeat)(jax.random.split(key_of_row(key, datum, number), num_repeats))

    return jax.vmap(one)(block, numbers)
