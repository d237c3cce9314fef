"""Where the networks of an architecture start: at independent columns of the training rows.

    outputs = b_d + s_d network(z),        E[x_d | outputs = b_d] = mean of column d

b is a bias of the last layer and s a factor of its weights at the start, the spread of the column in
units of the output: a decoder of counts of 1,000 would take most of its steps to find their size, and
one that wanders by a factor has an ELBO far below that of columns alone.

An encoder reads counts as (log(1 + x_d) - mean of column d) / s, with one s for all columns: the
standard deviation of the column that varies most, at most 1, an e-fold. A logarithm has a unit of its
own, in which columns compare. With an s for each, the chance of a column that is seldom above 0 reads as
loud as what tells rows apart, and of thousands of them an encoder learns the rows it is trained on.

Of rows with more than 67 million cells every second, third, ... is looked at, as moments take several
copies.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.core import Datum, padded_size
from taut.core.compiling import shared_jit
from taut.models import AbstractLikelihood, LatentDecoder, LogCounts, SelfMasking, Units
from taut.models.likelihoods import Start
from taut.models.likelihoods.moments import column_moments

__all__ = ["start_of", "started_counts", "started_decoder", "started_masking"]

_MOST = 2**26  # cells that are looked at
_LEAN = 1.0  # log-odds for each deviation of a value, of a column of skewness far from 0


def start_of(likelihood: AbstractLikelihood, units: Units | None, rows: Datum) -> Start | None:
    """Independent columns of these rows, in the units that the likelihood sees."""
    return _started(likelihood, units, *_padded(rows))


def started_decoder(decoder: Any, start: Start) -> Any:
    """The decoder around the outputs of a start; as it is where it is of a user's own kind."""
    outputs, spread = start.outputs.reshape(-1), start.spread.reshape(-1)
    if isinstance(decoder, LatentDecoder):
        if decoder.offset is not None:
            offset = outputs.astype(decoder.offset.dtype)
            return eqx.tree_at(lambda d: d.offset, decoder, offset)
        network = started_decoder(decoder.network, start)
        return eqx.tree_at(lambda d: d.network, decoder, network)
    return decoder.started_at(outputs, spread) if hasattr(decoder, "started_at") else decoder


def started_counts(counts: LogCounts, rows: Datum) -> LogCounts:
    """The centre of log(1 + x) over these rows, and the scale that all columns share, at most 1."""
    shift, scale = _of_logarithms(*_padded(rows))
    dtype = counts.units.shift.dtype
    return LogCounts(Units(shift.astype(dtype), scale.astype(dtype)))


def started_masking(rows: Datum, units: Units | None) -> SelfMasking:
    """Cells that are missing as often as in these rows, more so towards the shorter tail.

    Slope 0 is a saddle of the likelihood: the observed values look whole from there. Where large values
    hide, those that are left are skewed to the left.
    """
    offset, skew = _shape_of_holes(units, *_padded(rows))
    return SelfMasking(offset, -_LEAN * jnp.tanh(skew))


@shared_jit
def _shape_of_holes(units: Units | None, *rows: Any) -> tuple[Any, Any]:
    """Log-odds of a missing cell, half a cell added to each count, and the skewness of the observed."""
    x, weight = _cells(*rows)
    u = x if units is None else units.standardize(x)
    total, seen = jnp.sum(rows[2]), jnp.sum(weight, axis=0)
    mean, variance = column_moments(u, weight)
    scale = jnp.sqrt(jnp.where(variance > 0, variance, 1.0))
    third = jnp.sum(weight * ((u - mean) / scale) ** 3, axis=0) / jnp.maximum(seen, 1)
    return jnp.log((total - seen + 0.5) / (seen + 0.5)).astype(x.dtype), third.astype(x.dtype)


@shared_jit
def _started(likelihood: AbstractLikelihood, units: Units | None, *rows: Any) -> Start | None:
    x, weight = _cells(*rows)
    return likelihood.started_at(x if units is None else units.standardize(x), weight)


@shared_jit
def _of_logarithms(*rows: Any) -> tuple[Any, Any]:
    x, weight = _cells(*rows)
    shift, variance = column_moments(jnp.log1p(x), weight)
    most = jnp.max(variance)
    scale = jnp.sqrt(jnp.where(most > 0, jnp.minimum(most, 1.0), 1.0))
    return shift, jnp.full_like(shift, scale)


def _padded(rows: Datum) -> tuple[Any, Any, Any]:
    """x, which cells were observed, which rows are no padding; few programs serve all row counts."""
    step = max(1, -(-math.prod(rows.x.shape) // _MOST))
    count = -(-len(rows.x) // step)
    places = step * np.minimum(np.arange(padded_size(count)), count - 1)
    some = jax.tree.map(lambda leaf: leaf[places], Datum(rows.x, rows.mask))
    return jax.device_put((some.x, some.mask, np.arange(len(places)) < count))


def _cells(x: Any, mask: Any, counted: Any) -> tuple[Any, Any]:
    """x as numbers, 0 where it was not observed, and the weight of each cell."""
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))
    counted = counted.reshape(-1, *[1] * (x.ndim - 1))
    if mask is not None:
        counted, x = counted & mask, jnp.where(mask, x, 0)
    return x, jnp.broadcast_to(counted, x.shape).astype(x.dtype)
