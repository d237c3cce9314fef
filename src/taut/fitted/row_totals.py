"""The totals at which rows of counts are drawn and decoded, of a model that is given those of its rows.

A model of p(x | T) says nothing of T. Rows are drawn at totals like those of the training rows, by their
quantiles at 0, 1/100, ..., 1, between which the distribution function is linear; at `library_size` where
the likelihood was given one, and at 10,000 where a fit holds no totals. Latents alone are decoded at the
median of these totals, or at that one. A row with holes counts as one without, at the total at which its
observed cells have the shares of the columns' means:

    T_all = sum_o x_d / sum_o m_d,        m_d = mean_d / sum_c mean_c        o: observed cells

A total is that of the likelihood: what is drawn of zero-inflated counts has fewer, by the extra zeros.
"""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import check_count, option
from taut.data import Dataset, RowSource
from taut.data.sparse_rows import SparseRows
from taut.fitted import coding
from taut.models import LatentVariableModel

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = [
    "decode_at_totals",
    "drawn_totals",
    "is_given_totals",
    "library_size",
    "median_total",
    "sample_at_totals",
    "total_quantiles",
]

_ROWS = 10_000  # that stand for all
_QUANTILES = 101
_TOTAL_KEY = 3  # 0, 1 and 2 are the keys of z, of x and of which cells are seen


def is_given_totals(model: Any) -> bool:
    """Whether rows of the model are counts that are judged given the totals of their rows."""
    return isinstance(model, LatentVariableModel) and model.likelihood.given_totals


def library_size(model: Any) -> float | None:
    """The one total that a user named for all rows that are drawn; None where nobody did."""
    return model.likelihood.options()["library_size"]


def total_quantiles(model: Any, rows: RowSource) -> tuple[float, ...]:
    """Quantiles of the totals of rows, at even steps from 0 to 1, both included.

    Arguments:
        model: what is fitted to the rows.
        rows: of which at most 10,000 are looked at.

    Returns:
        101 totals in rising order; empty where the model is not given them, or no row has a count.
    """
    if not is_given_totals(model):
        return ()
    some = rows.sample(_ROWS)
    totals = _totals(some)
    if not totals.any():
        return ()
    return tuple(np.quantile(totals, np.linspace(0, 1, _QUANTILES)).tolist())


def sample_at_totals(fit: "Fit", num_samples: int, *, key: PRNGKeyArray, mean: bool) -> Array:
    """`coding.sample` of a fit, at such totals where its model is given them."""
    count = check_count(num_samples, "at least one sample", "64", where=option("num_samples"))
    totals = drawn_totals(fit, key, count)
    return coding.sample(fit.pair, key, count, mean=mean, totals=totals)


def decode_at_totals(fit: "Fit", z: Float[Array, "N d"]) -> Float[Array, "N ..."]:
    """`coding.decode` of a fit, at the median total of training rows where its model is given these."""
    total = median_total(fit)
    totals = None if total is None else np.full(len(z), total, fit.precision)
    return coding.decode(fit.pair, z, totals)


def median_total(fit: "Fit") -> float | None:
    """At which latents alone are decoded; None for the likelihood's own, or where it has none."""
    quantiles = _quantiles_of(fit)
    return None if quantiles is None else float(np.median(quantiles))


def drawn_totals(fit: "Fit", key: PRNGKeyArray, count: int) -> Float[np.ndarray, " n"] | None:
    """Totals for as many rows; None for the likelihood's own, or where it has none.

    Arguments:
        fit: whose training rows they are like.
        key: of the rows that are drawn.
        count: n.
    """
    quantiles = _quantiles_of(fit)
    if quantiles is None:
        return None
    place = jax.random.uniform(jax.random.fold_in(key, _TOTAL_KEY), (count,))
    found = np.interp(np.asarray(place), np.linspace(0, 1, len(quantiles)), quantiles)
    return found.astype(fit.precision)


def _quantiles_of(fit: "Fit") -> tuple[float, ...] | None:
    """Of the totals that a fit holds; None where it holds none or does not go by them."""
    quantiles = fit.facts.totals
    if not quantiles:
        return None
    model = fit.model
    return quantiles if is_given_totals(model) and library_size(model) is None else None


def _totals(rows: Dataset) -> Float[np.ndarray, " N"]:
    if isinstance(rows.cells, SparseRows) and rows.mask is None:
        return np.asarray(rows.cells.matrix.sum(axis=1), np.float64).reshape(-1)
    x = np.asarray(rows.x, np.float64).reshape(len(rows), -1)
    if rows.mask is None:
        return x.sum(axis=1)
    seen = np.asarray(rows.mask).reshape(x.shape)
    x = np.where(seen, x, 0.0)
    share = x.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    share /= max(share.sum(), np.finfo(float).tiny)
    known = (seen * share).sum(axis=1)
    return (x.sum(axis=1) / np.where(known > 0, known, 1.0))[known > 0]
