"""What cannot be fitted, found before a run begins: rows without a density, parts that do not fit."""

import equinox as eqx
import jax
import numpy as np

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError
from taut.data import Dataset, RowSource
from taut.gradients import AbstractEstimator

__all__ = ["check_rows", "check_step"]


def check_rows(architecture: AbstractArchitecture, rows: RowSource, *, where: str) -> None:
    """Refuse rows outside the likelihood's support; rows on disk are passed over once.

    Raises:
        InputError: names the first bad row, on disk by its number in the file, and its cell.
    """
    if isinstance(rows, Dataset):
        architecture.check(rows.schema, rows.x, where=where)
        return
    for part in rows.parts():
        try:
            architecture.check(rows.schema, part.x, where=where)
        except InputError:
            _name_first(architecture, part, where)
            raise


def check_step(
    pair: AbstractPair, bound: AbstractBound, gradient: AbstractEstimator, example: Datum
) -> None:
    """Refuse a bound, gradient and guide that do not go together; nothing is computed.

    Raises:
        InputError: as the estimator has it.
    """

    def one(pair: AbstractPair, datum: Datum) -> object:
        model, guide = pair.bind()
        key = jax.random.key(0)
        aux = gradient.init(key, datum, guide)
        return gradient(bound, model, guide, datum, key, aux=aux).surrogate

    eqx.filter_eval_shape(one, pair, example)


def _name_first(architecture: AbstractArchitecture, part: Dataset, where: str) -> None:
    """Raise what is wrong with the first bad row of a part, under its number in the file."""
    for i in range(len(part)):
        try:
            architecture.check(part.schema, np.asarray(part.x[i : i + 1]), where=where)
        except InputError as error:
            place = (error.where or where).replace(", row 0", f", row {part.index[i]}")
            raise error.at(place) from None
