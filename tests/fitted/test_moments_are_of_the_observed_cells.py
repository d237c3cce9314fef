"""What is learned of columns with holes is what their observed cells say, however often each is seen.

All rows come twice, and the second time a column is hidden: every column has the moments that it has
without the second time, and one that is divided by the number of rows has not.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.architectures.starting import start_of, started_counts
from taut.core import Datum
from taut.data import Dataset, Schema
from taut.data.standardize import moments_of, shift_and_scale
from taut.evidence import independent_columns
from taut.evidence.exact_columns import exact_columns
from taut.fitted.row_totals import total_quantiles
from taut.inference.exact.row_blocks import RowBlocks
from taut.models import LogCounts
from taut.models.likelihoods import make_likelihood

RNG = np.random.default_rng(0)
SCHEMA = Schema("t", "table", (3,), "real", dtype="float64", holes=True)
X = RNG.gamma(2.0, [1.0, 5.0, 20.0], (60, 3))
COUNTS = RNG.poisson([2.0, 20.0, 200.0], (60, 3)) * 1.0
SHARES = np.tile([10.0, 30.0, 60.0], (60, 1))  # of the totals, which are all 100


def _datum(rows: np.ndarray) -> Datum:
    mask = ~np.isnan(rows)
    return Datum(np.where(mask, rows, 0.0), None if mask.all() else mask)


def _pair(name: str, **options: Any) -> Any:
    architecture = taut.VAE(latent_dim=1, hidden=(2,), likelihood=name, **options)
    return architecture.init(SCHEMA, jax.random.key(0))


def _totals(rows: np.ndarray) -> Any:
    model: Any = _pair("poisson", likelihood_options={"library": True}).bind()[0]
    index = np.arange(len(rows), dtype=np.int32)
    return total_quantiles(model, Dataset(rows, _datum(rows).mask, None, index, SCHEMA))


def _columns_alone(rows: np.ndarray) -> Any:
    model: Any = _pair("poisson").bind()[0]
    return independent_columns(model, _datum(rows), Datum(COUNTS), levels=None).values


def _start(name: str) -> Callable[[np.ndarray], Any]:
    def of(rows: np.ndarray) -> Any:
        start = start_of(make_likelihood(name, shape=(3,)), None, _datum(rows))
        assert start is not None
        return start.outputs

    return of


def _exact_columns(rows: np.ndarray) -> Any:
    model: Any = taut.FA(components=1).init(SCHEMA, jax.random.key(0)).bind()[0]
    return exact_columns(model, rows, Datum(X)).values


# What is learned, of which rows, and how far apart two routes may end.
LEARNED: dict[str, tuple[Callable[[np.ndarray], Any], np.ndarray, float]] = {
    "totals of rows": (_totals, SHARES, 1e-12),
    "shift and scale": (lambda x: shift_and_scale(moments_of(x, SCHEMA)), X, 1e-12),
    "spread of EM": (lambda x: [*RowBlocks(x, "x", holes=True).spread()][:2], X, 1e-12),
    "columns alone, exact": (_exact_columns, X, 1e-9),
    "columns alone, by ascent": (_columns_alone, COUNTS, 1e-4),
    "start of counts read": (
        lambda x: jax.tree.leaves(started_counts(LogCounts.start((3,)), _datum(x))), COUNTS, 1e-6
    ),
    "start of a gaussian": (_start("gaussian"), X, 1e-6),
    "start of a poisson": (_start("poisson"), COUNTS, 1e-6),
    "start of a negative binomial": (_start("negative-binomial"), COUNTS, 1e-6),
}  # fmt: skip


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("column", [0, 2])
def test_a_column_that_is_seen_half_as_often_says_the_same(name, column):
    learned, rows, allowed = LEARNED[name]
    holed = rows.copy()
    holed[:, column] = np.nan
    whole, twice = (learned(some) for some in (rows, np.concatenate([rows, holed])))
    for one, other in zip(whole, twice, strict=True):
        np.testing.assert_allclose(other, one, rtol=allowed)
