"""Independent columns beside a mixture of columns of several kinds, each of the family of its kind.

They are one component at its maximum under the default floor of `Mixed`: normal and log-normal columns,
tables and means of counts in closed form; the inverse dispersion of a negative binomial as the root of

    d/dr sum_n log NB(x_n; m, r) = sum_n (digamma(r + x_n) - digamma(r) - log(1 + m / r))

of which there is one where the variance exceeds the mean, and else none (Levin and Reeds 1977). A column
with atoms takes thirty steps of EM, after which what is left is far below the errors of the mean.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import digamma

from taut.architectures import Mixed
from taut.core import Datum, over_rows
from taut.core.compiling import kept_jit
from taut.data import ColumnMoments, resolution, resolved_rows
from taut.evidence.closed_form import log_evidences
from taut.models import ColumnMixture
from taut.models.exact import Holes
from taut.models.exact.columns import Atoms, Counts
from taut.models.exact.columns.counts import CountFloor
from taut.models.exact.columns.dispersion import LARGEST_R, LEAST_R

__all__ = ["mixed_columns"]

_STEPS = 30
_HALVINGS = 60  # of the logarithm of r


def mixed_columns(
    model: ColumnMixture, rows: Float[np.ndarray, "N D"], held_out: Datum
) -> tuple[Float[np.ndarray, " M"], bool]:
    """log p(x) of held-out rows, nats, and whether the resolution of a column decides its variance.

    Arguments:
        model: tells the families.
        rows: training rows, NaN where a cell was not observed.
        held_out: rows to judge, flat.
    """
    seen = ~np.isnan(rows)
    sample = rows[resolved_rows(len(rows))]
    known = ColumnMoments(rows.shape[1]).add(rows)
    largest = np.where(known.counts > 0, np.maximum(np.abs(known.low), np.abs(known.high)), 1.0)
    rounding = (8 * np.finfo(float).eps * largest) ** 2
    least = np.maximum(resolution(sample) ** 2 / 12, rounding)
    with jax.enable_x64(True):
        start = model.alone()
        floor = start.floor(
            Mixed.default_floor or 0.0, added=0.0, least=jnp.asarray(least), sample=sample
        )
        cells = np.where(seen, rows, 1.0)  # which is in every support
        found = start
        for _ in range(_STEPS if any(isinstance(p, Atoms) for p in start.parts) else 1):
            found = _fitted(found, jnp.asarray(cells), jnp.asarray(seen), floor)
        for i, (part, at) in enumerate(zip(found.parts, found.places, strict=True)):
            if isinstance(part, Counts) and part.inverse_dispersion is not None:
                columns = rows[:, np.asarray(at)]
                r = _inverse_dispersions(columns, np.asarray(part.means[0]), floor[i])
                found = eqx.tree_at(lambda m, i=i: m.parts[i].inverse_dispersion, found, r[None])
        held = bool(np.asarray(found.held_by_floor(floor)).any())
        x = np.asarray(held_out.x, np.float64)
        mask = ~np.isnan(x) if held_out.mask is None else np.asarray(held_out.mask)
        asked = Datum(np.where(mask, x, 1.0), mask)
        values = over_rows(lambda block, *_: log_evidences(found, block), asked, width=512)
        return np.concatenate([*values]), held


@kept_jit
def _fitted(start: ColumnMixture, x: Any, seen: Any, floor: Any) -> ColumnMixture:
    holes = Holes(seen, jnp.zeros((len(x), 0), jnp.int32))
    return start.maximized(start.expected(x, jnp.ones(len(x)), holes), floor)


def _inverse_dispersions(
    columns: Float[np.ndarray, "N D"], means: Float[np.ndarray, " D"], floor: CountFloor
) -> Any:
    """The roots, by bisection."""
    found, pseudo = [], np.asarray(floor.values)
    share = float(floor.rows) / len(pseudo)
    for x, mean, spread in zip(columns.T, means, pseudo.T, strict=True):
        values, number = np.unique(x[~np.isnan(x)], return_counts=True)
        values = np.concatenate([values, spread])
        weight = np.concatenate([number, np.full(len(spread), share)])
        low, high = np.log(LEAST_R), np.log(LARGEST_R)
        for _ in range(_HALVINGS):
            r = np.exp(middle := 0.5 * (low + high))
            slope = weight @ (digamma(r + values) - digamma(r) - np.log1p(mean / r))
            low, high = (middle, high) if slope > 0 else (low, middle)
        found.append(np.exp(high))
    return jnp.asarray(np.clip(found, LEAST_R, LARGEST_R))
