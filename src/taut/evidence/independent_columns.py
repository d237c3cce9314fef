"""The baseline without a latent variable: every column on its own.

    log p(x) = sum_d log p_d(x_d)

Columns that take values on a known grid (binary, grey levels, categories) get their smoothed
histogram, (n_v + 1) / (N + V) for V values; others the maximum-likelihood member of the likelihood's
own family. Where a model says which cells are missing, so do the columns. A model that does not beat it
has learned nothing of how the columns hang together.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from taut.architectures.starting import start_of
from taut.core import Datum, Estimate, over_rows, padded_block, padded_size
from taut.core.compiling import shared_jit
from taut.core.lbfgs import lbfgs
from taut.data import resolved_rows
from taut.data.slabs import slabs
from taut.models import LatentVariableModel

__all__ = ["BASELINE_ROWS", "independent_columns", "smoothed_histogram"]

BASELINE_ROWS = 10_000  # of the training rows, enough to fit one or two numbers per column
# Of L-BFGS, whose problem is smooth and separates over columns: nats per row that a step still promises.
_TOLERANCE, _MAX_EVALUATIONS = 1e-6, 400
# Of as many cells together, dozens of seconds for counts: columns of wide tables, which start at the
# right moments, end a little below the maximum.
_MAX_CELLS, _LEAST_EVALUATIONS = 2**26, 16


def independent_columns(
    model: LatentVariableModel, train: Datum, held_out: Datum, *, levels: int | None
) -> Estimate:
    """Held-out log-likelihood of independent columns, nats per row; exact.

    Arguments:
        model: gives the likelihood's family and the units.
        train: rows that the marginals are fitted to; of more than `BASELINE_ROWS` so many at random.
        held_out: rows that they are judged on.
        levels: number of values on the grid k / (levels - 1) or 0..levels-1; None off a grid.
    """
    few = len(train.x) <= BASELINE_ROWS
    some: Any = slice(None) if few else resolved_rows(len(train.x), BASELINE_ROWS)
    rows = np.asarray(train.x)[some]
    seen = None if train.mask is None else np.asarray(train.mask)[some]
    test = np.asarray(held_out.x)
    if model.likelihood.discrete and levels is not None:
        top = max(float(np.nanmax(rows)), float(np.nanmax(test)))
        # Grey levels lie in [0, 1], codes are whole numbers.
        grid = 1 if top > 1 else levels - 1
        values = smoothed_histogram(rows, test, held_out.mask, levels, grid=grid)
    else:
        values = _same_family(model, rows, seen, held_out)
    if model.masking is not None:
        values = values + _of_masks(rows, seen, held_out)
    return Estimate.from_rows(values, side="exact", index=held_out.index)


def _of_masks(
    rows: Float[np.ndarray, "N ..."], seen: np.ndarray | None, held_out: Datum
) -> Float[np.ndarray, " M"]:
    """log p(s) of the cells that are missing, by column and Laplace's rule, nats."""
    known = np.ones(rows.shape, bool) if seen is None else seen
    share = (known.sum(axis=0) + 1) / (len(known) + 2)
    mask = np.ones(np.shape(held_out.x), bool) if held_out.mask is None else held_out.mask
    values = np.where(np.asarray(mask), np.log(share), np.log1p(-share))
    return values.reshape(len(values), -1).sum(axis=1)


def smoothed_histogram(
    rows: Float[np.ndarray, "N ..."],
    test: Float[np.ndarray, "M ..."],
    mask: Any,
    levels: int,
    *,
    grid: int,
) -> Float[np.ndarray, " M"]:
    """sum_d log p_d(x_d) of every held-out row by Laplace's rule, nats.

    Arguments:
        rows: that are counted, NaN where a cell is not observed.
        test: held-out rows of the same shape; what is not observed has the value of code 0.
        mask: the cells of those that count, (M, ...); None for all.
        levels: V, the number of values of a cell.
        grid: times a cell gives its code, 0..V-1.
    """
    cells, asked = (x.reshape(len(x), -1) for x in (rows, test))
    tables = []
    for d in range(asked.shape[1]):
        column = cells[:, d] * grid
        known = np.rint(column[~np.isnan(column)]).astype(int)
        tables.append(np.log((np.bincount(known, minlength=levels) + 1) / (len(known) + levels)))
    found = np.empty(len(asked))
    for slab in slabs(asked.shape):
        some = asked[slab]
        log_p = np.empty(some.shape)
        for d, table in enumerate(tables):
            log_p[:, d] = table[np.rint(np.nan_to_num(some[:, d] * grid)).astype(int)]
        if mask is not None:
            log_p = np.where(np.asarray(mask[slab]).reshape(log_p.shape), log_p, 0.0)
        found[slab] = log_p.sum(axis=1)
    return found


def _same_family(
    model: LatentVariableModel, rows: np.ndarray, seen: np.ndarray | None, held_out: Datum
) -> Float[np.ndarray, " N"]:
    likelihood, units = model.likelihood, model.units
    rows = rows if seen is None else np.where(seen, rows, 0)
    width = padded_size(len(rows))
    block, _ = padded_block(Datum(rows, seen), 0, width=width)
    x, mask, counted = jax.device_put((block.x, block.mask, np.arange(width) < len(rows)))
    start = start_of(likelihood, units, Datum(rows, seen))
    outputs = jnp.zeros((likelihood.num_outputs, *model.data_shape))
    if start is not None:
        likelihood, outputs = start.likelihood, start.outputs
    arrays, static = eqx.partition(likelihood, eqx.is_inexact_array)

    def log_prob(parameters: Any, x: Any, mask: Any = None) -> Any:
        arrays, outputs = parameters
        u = x if units is None else units.standardize(x)
        value = eqx.combine(arrays, static).log_prob(u, outputs, mask)
        return value if units is None else value + units.log_volume(mask)

    def nll(parameters: Any) -> Any:
        values = jax.vmap(lambda x, mask: log_prob(parameters, x, mask))(x, mask)
        return -jnp.mean(values, where=counted)

    parameters = _minimize(nll, (arrays, outputs), cells=rows.size)
    values = shared_jit(jax.vmap(log_prob, in_axes=(None, 0, 0)))

    def of_block(block: Datum, *_: Any) -> Any:
        return values(parameters, block.x, block.mask)

    asked = Datum(held_out.x, held_out.mask)
    found = over_rows(of_block, asked, width=padded_size(len(asked.x)))
    return np.concatenate([*found]).astype(np.float64)


def _minimize(function: Any, start: Any, *, cells: int) -> Any:
    """L-BFGS on the host, so that one value with its gradient is all there is to compile."""
    flat, unflat = ravel_pytree(start)
    value_and_gradient = shared_jit(jax.value_and_grad(lambda flat: function(unflat(flat))))

    def rises(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_and_gradient(jnp.asarray(point, flat.dtype))
        return -float(value), -np.asarray(gradient, np.float64)

    most = min(_MAX_EVALUATIONS, max(_LEAST_EVALUATIONS, _MAX_CELLS // cells))
    found = lbfgs(rises, np.asarray(flat, np.float64), tolerance=_TOLERANCE, max_steps=most)
    return unflat(jnp.asarray(found.point, flat.dtype))
