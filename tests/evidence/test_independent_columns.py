"""Columns alone: they say which cells are missing where a model does, and climb within their means."""

import sys

import equinox as eqx
import numpy as np
import pytest

import taut
from taut.core import Datum
from taut.core.optimum import Optimum
from taut.evidence import independent_columns
from taut.models import LatentVariableModel, SelfMasking, StandardNormal
from taut.models.likelihoods import Bernoulli, Gaussian

MODULE = sys.modules["taut.evidence.independent_columns"]
BITS = np.random.default_rng(0).integers(0, 2, (12, 3)).astype(np.float32)
MASK = np.random.default_rng(1).random((12, 3)) < 0.7


def test_which_cells_are_missing_has_the_rate_of_its_column():
    rows = Datum(np.where(MASK, BITS, np.nan).astype(np.float32), MASK)
    train, held = (Datum(rows.x[part], MASK[part]) for part in (slice(8), slice(8, 12)))
    plain = LatentVariableModel(StandardNormal(1), None, Bernoulli(), (3,))
    said = eqx.tree_at(
        lambda m: m.masking, plain, SelfMasking.start((3,)), is_leaf=lambda leaf: leaf is None
    )
    without, found = (independent_columns(m, train, held, levels=2) for m in (plain, said))
    share = (MASK[:8].sum(0) + 1) / 10
    expected = np.where(MASK[8:], np.log(share), np.log(1 - share)).sum(1)
    np.testing.assert_allclose(found.values - without.values, expected, atol=1e-6)
    whole = independent_columns(said, Datum(BITS[:8]), Datum(BITS[8:]), levels=2)
    added = (
        whole.values - independent_columns(plain, Datum(BITS[:8]), Datum(BITS[8:]), levels=2).values
    )
    np.testing.assert_allclose(added, 3 * np.log(9 / 10), atol=1e-6)


@pytest.mark.parametrize(("cells", "most"), [(2**26, 400), (720, 20), (1, 16)])
def test_a_wide_table_takes_fewer_evaluations(cells, most, monkeypatch):
    asked = []

    def climb(function, start, *, tolerance, max_steps):
        asked.append(max_steps)
        return Optimum(start, 0.0, 0.0, 0, False)

    monkeypatch.setattr(MODULE, "lbfgs", climb)
    monkeypatch.setattr(MODULE, "_MAX_CELLS", cells)
    model = LatentVariableModel(StandardNormal(1), None, Gaussian(shape=(3,)), (3,))
    independent_columns(model, Datum(BITS), Datum(BITS[:4]), levels=None)
    assert asked == [most]


@pytest.mark.parametrize(("model", "holes"), [("lca", False), ("lca", True), ("gmm", False)])
def test_one_component_is_what_its_columns_are_alone(model, holes):
    """By its own route, over the observed cells (EM of a Gaussian with holes only draws near)."""
    generator = np.random.default_rng(2)
    levels, real = generator.integers(0, 3, (90, 4)), generator.normal(size=(90, 4))
    x = (levels if model == "lca" else real).astype(float)
    if holes:
        x[generator.random(x.shape) < [0.0, 0.1, 0.4, 0.7]] = np.nan
    data = taut.load_data(x, support="count" if model == "lca" else "real", dtype="float64")
    fit = taut.em(data, model=taut.LCA(1) if model == "lca" else taut.GMM(1, covariance="diag"))
    alone = fit.estimates["independent_columns"]
    np.testing.assert_allclose(alone.values, fit.estimates["log_evidence"].values, rtol=1e-6)
