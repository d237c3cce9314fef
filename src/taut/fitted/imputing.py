"""Imputation: the missing cells of rows, given the observed ones, by a model with an exact posterior.

E[x_m | x_o],  the most probable value,  the standard deviation,  and joint draws x_m ~ p(x_m | x_o)

A density draws numbers between the values that a column can have. Draws of recorded values are those of
the rounded mixture (Canale and Dunson 2011, equation 2), x the recorded value nearest to the y that is
drawn:

    p(x = v_j | x_o) = P(a_j < y <= a_{j+1} | y_o = x_o),       a_j half way from v_{j-1} to v_j

It is exact in the missing cells; observed ones stand for their y, as they did in the fit.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum, InputError, key_of_row, num_rows, over_rows
from taut.core.compiling import even_jit
from taut.data import Dataset, nearest_of, recorded_values
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

    def recorded(self, rows: Dataset | Float[np.ndarray, "M D"]) -> "Imputed":
        """The same with draws among the values that a column had so far, where it has few.

        Each drawn number becomes the nearest one that the column has in these rows, if another row is
        likely to have one of them, too (`taut.data.recorded`). Other columns, observed cells, means,
        modes and deviations stay as they are.

        Arguments:
            rows: of the form that was filled in, NaN where a cell is missing; those fitted to, say.

        Raises:
            InputError: rows that are no table of as many columns.
        """
        x = np.asarray(rows.x if isinstance(rows, Dataset) else rows, self.draws.dtype)
        if isinstance(rows, Dataset) and rows.mask is not None:
            x = np.where(rows.mask, x, np.nan)
        if x.ndim != 2 or x.shape[1:] != self.mean.shape[1:]:
            raise InputError(
                f"rows of the shape {self.mean.shape[1:]}, of a table", f"{x.shape[1:]}",
                "data.train of the data that were fitted", where="recorded",
            )  # fmt: skip
        draws = self.draws.copy()
        for place, column in enumerate(x.T):
            if len(values := recorded_values(column)):
                own, open_ = draws[..., place], self.deviation[:, place] > 0
                draws[..., place] = np.where(open_, nearest_of(values, own), own)
        return self._replace(draws=draws)


def impute(model: AbstractExactModel, rows: Datum, *, key: PRNGKeyArray, num_draws: int) -> Imputed:
    """The missing cells of rows, exact.

    Arguments:
        model: whose conditionals they are.
        rows: batched; their mask says what is missing.
        key: of the draws; those of a row depend on its number in its data set alone, or else on that in
            the batch.
        num_draws: how many; 0 for none.
    """
    x, total = np.asarray(rows.x), num_rows(rows)
    numbers = np.arange(total, dtype=np.int32) if rows.index is None else np.asarray(rows.index)
    holes = np.zeros(x.shape, bool) if rows.mask is None else ~np.asarray(rows.mask)
    those = np.flatnonzero(holes.reshape(total, -1).any(axis=1))
    those = those if len(those) else np.arange(1)  # for the types
    some = Datum(x[those], ~holes[those], None, numbers[those])
    found = _of_rows_with_holes(model, some, key=key, num_draws=num_draws)
    if len(those) == total:
        return found
    whole = x.astype(found.mean.dtype)
    draws = np.repeat(whole[None].astype(found.draws.dtype), num_draws, axis=0)
    all_rows = Imputed(whole, whole.copy(), np.zeros_like(whole), draws)
    for every, own in zip(all_rows[:3], found[:3], strict=True):
        every[those] = own
    draws[:, those] = found.draws
    return all_rows


def _of_rows_with_holes(
    model: AbstractExactModel, rows: Datum, *, key: PRNGKeyArray, num_draws: int
) -> Imputed:
    """The same of rows with a mask and their numbers."""

    @even_jit
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
        rows,
        width=max(1, min(_BLOCK_CELLS // cells, num_rows(rows))),
    )
    parts = [(*given, np.moveaxis(draws, 1, 0)) for given, draws in blocks]
    mean, mode, deviation, draws = zip(*parts, strict=True)
    mean, mode, deviation = (np.concatenate(part) for part in (mean, mode, deviation))
    return Imputed(mean, mode, deviation, np.concatenate(draws, axis=1))
