"""Imputation: the missing cells of rows, given the observed ones, by a model with an exact posterior.

E[x_m | x_o],  the most probable value,  the standard deviation,  and joint draws x_m ~ p(x_m | x_o)
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum, key_of_row, num_rows, over_rows
from taut.core.compiling import kept_jit
from taut.models import AbstractExactModel
from taut.models.exact import Given

__all__ = ["Imputed", "impute"]

_BLOCK_CELLS = 2**22  # numbers that a block of rows may need: 32 MiB in float64


class Imputed(NamedTuple):
    """Rows without holes; observed cells are as they were.

    Attributes:
        mean: (N, *shape), the expected value of each missing cell given the observed ones; exact.
        mode: the most probable value where a cell has values of its own, else the mean.
        deviation: standard deviation of each missing cell; 0 where a cell was observed.
        draws: (draws, N, *shape), in each of which the missing cells of a row were drawn together.
    """

    mean: Float[np.ndarray, "N ..."]
    mode: Float[np.ndarray, "N ..."]
    deviation: Float[np.ndarray, "N ..."]
    draws: Float[np.ndarray, "draws N ..."]


def impute(model: AbstractExactModel, rows: Datum, *, key: PRNGKeyArray, num_draws: int) -> Imputed:
    """The missing cells of rows, exact.

    Arguments:
        model: whose conditionals they are.
        rows: batched; their mask says what is missing.
        key: of the draws; those of a row depend on its number in its data set alone, or else on that in
            the batch.
        num_draws: how many; 0 for none.
    """

    @kept_jit
    def program(model: AbstractExactModel, block: Datum, numbers: Any, key: PRNGKeyArray) -> Any:
        def one(row: Datum, number: Any) -> tuple[Given, Array]:
            own = key_of_row(key, row, number)
            keys = jax.random.split(own, num_draws)
            return model.given(row), jax.vmap(lambda key: model.completed(row, key))(keys)

        return jax.vmap(one)(block, numbers)

    size = int(np.prod(np.shape(rows.x)[1:]))
    cells = model.width_with_holes(size) + size * (num_draws + size)
    blocks = over_rows(
        lambda block, numbers, _: program(model, block, numbers, key),
        Datum(rows.x, rows.mask, None, rows.index),
        width=max(1, min(_BLOCK_CELLS // cells, num_rows(rows))),
    )
    parts = [(*given, np.moveaxis(draws, 1, 0)) for given, draws in blocks]
    mean, mode, deviation, draws = zip(*parts, strict=True)
    mean, mode, deviation = (np.concatenate(part) for part in (mean, mode, deviation))
    return Imputed(mean, mode, deviation, np.concatenate(draws, axis=1))
