"""Rows with all their cells beside rows with holes, wherever only one of a few rows has one."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_fits import mixture

import taut
from taut.core import Datum
from taut.inference.exact import (
    Floor,
    RowBlocks,
    expectation_step,
    log_evidences,
    online_em,
    row_blocks,
    run_em,
)
from taut.models import FactorAnalysis, LatentClass, ProbabilisticPCA

online_module = import_module("taut.inference.exact.online_em")
MODELS = ("fa", "ppca", "lca", "full")


def rows_and_model(clusters: np.ndarray, name: str) -> tuple[np.ndarray, Any]:
    """Rows of which every ninth has a hole, and a model of them."""
    x = clusters.copy() - clusters.mean(axis=0)
    x = (x > 0).astype(float) if name == "lca" else x
    x[::9, 1] = np.nan
    if name == "full":
        return x, mixture(np.nan_to_num(x), name)
    if name == "lca":
        theta = np.random.default_rng(0).dirichlet([3, 3], (2, 3))
        return x, LatentClass(jnp.zeros(2), jnp.log(theta), (3,))
    centre, loadings = jnp.zeros(3), jnp.asarray([[1.0], [0.5], [-0.5]])
    if name == "ppca":
        return x, ProbabilisticPCA(center=centre, loadings=loadings, log_variance=jnp.zeros(()))
    return x, FactorAnalysis(center=centre, loadings=loadings, log_variances=jnp.zeros(3))


def assert_alike(got: Any, wanted: Any) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_whole_rows_add_up_with_those_that_have_holes(clusters, name, monkeypatch, float64):
    x, model = rows_and_model(clusters, name)
    together = expectation_step(model, RowBlocks(x, holes=True)).statistics
    monkeypatch.setattr(row_blocks, "_WORTH_A_PROGRAM", 1)
    rows = RowBlocks(x, holes=True)
    masks = [block.mask is None for block in rows.blocks(model)]
    assert masks[0]
    assert not all(masks)
    found = expectation_step(model, rows).statistics
    assert_alike(found, together)
    wanted = log_evidences(model, rows).sum()
    np.testing.assert_allclose(model.log_evidence_of(found), wanted, rtol=1e-10)


@pytest.mark.parametrize("name", ["fa", "lca"])
def test_rows_that_may_have_holes_need_have_none(clusters, name, float64):
    """The statistics of a sample without a hole blend with those of a batch that has some."""
    x, model = rows_and_model(clusters, name)
    rows = RowBlocks(x, holes=True)
    sample = RowBlocks(x[~np.isnan(x).any(axis=1)], holes=True)
    floor = Floor(1.0 if name == "lca" else 1e-3).of(model, rows)
    algorithm = online_em(
        expectation_step(model, sample), floor, num_rows_in_all=90, delay=1.0
    )  # whose first step forgets the start
    mask = ~np.isnan(x)
    batch = Datum(jnp.asarray(np.where(mask, x, 0.0)), jnp.asarray(mask))
    state, _ = eqx.filter_jit(algorithm.step)(algorithm.init(), batch)
    moved = run_em(model, rows, floor, tolerance=0.0, max_iterations=1).model
    assert_alike(state.model, moved)


def test_online_em_takes_a_hole_that_its_start_has_not(clusters, monkeypatch):
    monkeypatch.setattr(online_module, "_SAMPLE", 40)
    x, _ = rows_and_model(np.tile(clusters, (2, 1)), "lca")
    x[::9, 1] = 0.0
    whole = taut.load_data(x, dtype="float64", support="count")
    chosen = online_module.starting_rows(RowBlocks(whole.train), seed=7)
    left = np.setdiff1d(
        whole.train.numbers(np.arange(len(whole.train))), chosen.numbers(np.arange(40))
    )
    x[left[0], 0] = np.nan
    data = taut.load_data(x, dtype="float64", support="count")
    monkeypatch.setattr(
        "taut.inference.exact.candidate.starting_rows",
        lambda rows, *, seed: online_module.starting_rows(rows, seed=7),
    )
    with_one, without = (
        taut.em(own, model="lca", components=1, online=True, batch_size=50, restarts=1)
        for own in (data, whole)
    )
    found, wanted = (fit.estimates["log_evidence"].value for fit in (with_one, without))
    assert found == pytest.approx(wanted, abs=0.02)


def test_a_stream_whose_training_rows_have_no_hole(clusters, tmp_path, float64):
    """Its schema may have holes, which other parts of the file have."""
    np.save(tmp_path / "rows.npy", clusters)
    read = taut.load_data(tmp_path / "rows.npy", stream="yes", dtype=np.float64).train
    stream: Any = replace(read, schema=replace(read.schema, holes=True))
    model = mixture(clusters, "full")
    rows = RowBlocks(stream)
    found = expectation_step(model, rows).statistics
    held = RowBlocks(rows.read(0, rows.num_rows))
    assert_alike(found, expectation_step(model, held).statistics)
