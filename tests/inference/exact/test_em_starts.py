"""Starts of mixtures, and what EM makes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.data import load_data
from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.inference.exact.candidate import skeleton_of
from taut.models import GaussianMixture

pytestmark = pytest.mark.usefixtures("float64")

NUMBER = 6


@pytest.fixture(scope="module")
def groups() -> tuple[np.ndarray, np.ndarray]:
    """Rows about six centers that lie apart, and the center of each."""
    generator = np.random.default_rng(1)
    centers = 4.0 * generator.normal(size=(NUMBER, 3))
    owner = generator.integers(0, NUMBER, 300)
    return centers[owner] + generator.normal(size=(300, 3)), owner


def test_clusters_that_lie_apart_are_found_by_every_start(groups):
    """A start that merges two of them would climb slowly, or end beneath: one M-step is nearly all."""
    x, owner = groups
    rows = RowBlocks(x)
    skeleton = GaussianMixture(
        jnp.zeros(NUMBER), jnp.zeros((NUMBER, 3)), jnp.ones((NUMBER, 3)), "diag"
    )
    floor = Floor(None).of(skeleton, rows)
    own = np.stack([x[owner == k].mean(axis=0) for k in range(NUMBER)])
    for seed in range(3):
        start = random_start(skeleton, rows, rows.spread(), seed=seed)
        result = run_em(start, rows, floor, tolerance=1e-4)
        assert isinstance(result.model, GaussianMixture)
        assert result.converged
        assert len(result.log_evidence) < 15
        means = np.asarray(result.model.means)
        nearest = np.abs(own[:, None] - means).max(axis=2).min(axis=1)
        assert nearest.max() < 0.3


@pytest.fixture(scope="module")
def table() -> taut.Data:
    """Numbers, some of them far more often than others, long tails, counts with zeros, and names."""
    generator = np.random.default_rng(3)
    place = generator.integers(0, 2, 400)
    paid = np.where(generator.random(400) < 0.5, 0.0, 900 + 90 * generator.normal(size=400)).round(
        1
    )
    rows = {
        "a": 6.0 * place + generator.normal(size=400), "paid": paid,
        "tail": np.exp(place + 2 * generator.normal(size=400)),
        "visits": generator.poisson(0.3 + 4.0 * place),
        "b": np.where(generator.random(400) < 0.2 + 0.6 * place, "yes", "no"),
    }  # fmt: skip
    return load_data(pl.DataFrame(rows), dtype=np.float64)


@pytest.mark.parametrize("family", ["negative-binomial", "poisson"])
def test_what_a_model_holds_before_its_start_does_not_matter(table, family):
    """Of every family of columns, whose statistics are gathered by a model."""
    architecture = taut.Mixed(components=2, counts=family)
    skeleton: Any = skeleton_of(architecture, table)
    generator = np.random.default_rng(0)
    other = jax.tree.map(lambda leaf: generator.uniform(0.1, 3.0, np.shape(leaf)), skeleton)
    rows = RowBlocks(np.asarray(table.train.x), "rows")
    found, wanted = (random_start(m, rows, rows.spread(), seed=1) for m in (skeleton, other))
    for own, beside in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert np.isfinite(own).all()
        np.testing.assert_array_equal(own, beside)


def test_counts_with_zeros_are_fitted(table):
    fit = taut.em(table, model="mixed", components=2, restarts=1)
    assert fit.estimates["log_evidence"].value > fit.estimates["independent_columns"].value + 0.5
