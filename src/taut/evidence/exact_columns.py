"""Independent columns beside a model with exact evidence, in closed form.

    Gaussian columns    mean m_d, variance max(v_d, least_d)
    tables              (n_v + 1) / (N + V_d) for V_d values

These are the maxima of the penalised likelihood of one component with independent columns, with the
default floors of `GMM` and `LCA`: the column's resolution, and Laplace's rule. A column that is constant
over the training rows is left out, as the model leaves it out.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.architectures import LCA
from taut.core import Datum, Estimate, InputError
from taut.data import ColumnMoments, resolution, resolved_rows
from taut.data.slabs import slabs
from taut.evidence.mixed_columns import mixed_columns
from taut.models import AbstractExactModel, ColumnMixture, LatentClass

__all__ = ["exact_columns"]

# log p_d(x_d) of every cell of rows, (M, D) to (M, D), nats.
_Cells = Callable[[np.ndarray], np.ndarray]


def exact_columns(
    model: AbstractExactModel, train: Any, held_out: Datum | Iterable[Datum], *, index: Any = None
) -> Estimate:
    """Held-out log-likelihood of independent columns, nats per row.

    Arguments:
        model: tells densities of numbers from tables of values.
        train: rows that the marginals are fitted to, (N, *shape); NaN is a cell that was not observed.
        held_out: rows that they are judged on, by their observed cells; all of them, or part by part.
        index: numbers of the rows that come in parts.

    Returns:
        exact; without a bound where a column's variance is that of its resolution.

    Raises:
        InputError: rows that are all equal have no density.
    """
    if isinstance(held_out, Datum):
        held_out, index = [held_out], held_out.index
    rows, unbounded = np.asarray(train, np.float64), False
    if isinstance(model, ColumnMixture):
        parts = [_flat(part) for part in held_out]
        test = parts[0] if len(parts) == 1 else Datum(np.concatenate([part.x for part in parts]))
        values, unbounded = mixed_columns(model, rows.reshape(len(rows), -1), test)
    else:
        if isinstance(model, LatentClass):
            cells_of = _tables(model, rows.reshape(len(rows), -1))
        else:
            cells_of, unbounded = _gaussian(model, rows)
        values = np.concatenate([_rows(cells_of, part) for part in held_out])
    found = Estimate.from_rows(values, side="exact", index=index)
    return found.without_bound() if unbounded else found


def _rows(cells_of: _Cells, rows: Datum) -> Float[np.ndarray, " M"]:
    """The sum over the observed cells of every row, a few rows at a time."""
    found = np.empty(len(rows.x))
    for slab in slabs(rows.x.shape):
        test = np.asarray(rows.x[slab], np.float64)
        test = test.reshape(len(test), -1)
        cells = cells_of(test)
        if rows.mask is not None:
            cells = np.where(np.asarray(rows.mask[slab]).reshape(cells.shape), cells, 0.0)
        found[slab] = np.where(np.isnan(test), 0.0, cells).sum(axis=1)
    return found


def _flat(rows: Datum) -> Datum:
    parts = (None if a is None else np.asarray(a).reshape(len(a), -1) for a in (rows.x, rows.mask))
    return Datum(*parts)


def _tables(model: LatentClass, rows: Float[np.ndarray, "N D"]) -> _Cells:
    """By Laplace's rule over the values of each column; -inf for another value."""
    pseudo, tables = LCA.default_floor or 0.0, []
    numbers = [model.log_theta.shape[2]] * rows.shape[1]
    if model.codes is not None:
        numbers = list(map(len, model.codes))
    for d, (values, number) in enumerate(zip(model.values(), numbers, strict=True)):
        known, seen = np.rint(values[:number] * model.top), np.rint(rows[:, d] * model.top)
        counts = (seen[:, None] == known).sum(axis=0) + pseudo
        observed = np.sum(~np.isnan(seen))
        tables.append((known, np.log(counts / (observed + number * pseudo))))

    def cells_of(test: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "M D"]:
        cells = np.zeros(test.shape)
        for d, (known, log_p) in enumerate(tables):
            place = np.rint(test[:, d] * model.top)[:, None] == known
            cells[:, d] = np.where(place.any(axis=1), log_p[place.argmax(axis=1)], -np.inf)
        return cells

    return cells_of


def _gaussian(model: Any, rows: Float[np.ndarray, "N ..."]) -> tuple[_Cells, bool]:
    """And whether the resolution decides a variance."""
    least = (resolution(rows[resolved_rows(len(rows))]) ** 2 / 12).ravel()
    rows = rows.reshape(len(rows), -1)
    varies = np.isin(np.arange(rows.shape[1]), [cell for cell, _ in model.constants], invert=True)
    known = ColumnMoments(rows.shape[1])
    for slab in slabs(rows.shape):
        known.add(rows[slab])
    largest = np.where(known.counts > 0, np.fmax(np.abs(known.low), np.abs(known.high)), 1.0)
    least = np.maximum(least, (8 * np.finfo(float).eps * largest) ** 2)
    if not (known.varies & (known.counts > 0)).any():
        raise InputError(
            "rows that differ", f"{len(rows)} identical ones", "data with some variation",
            where="columns alone",
        )  # fmt: skip
    mean, spread = known.mean, np.where(known.counts > 0, known.variance, 1.0)
    variance = np.where(varies, np.maximum(spread, least), 1.0)

    def cells_of(test: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "M D"]:
        cells = -0.5 * (np.log(2 * math.pi * variance) + (test - mean) ** 2 / variance)
        return np.where(varies, cells, 0.0)

    return cells_of, bool(np.any(varies & (spread <= least)))
