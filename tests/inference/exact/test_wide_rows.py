"""Factor models of rows that are fewer than their columns: the rows stand for their scatter."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from jax.extend.core import ClosedJaxpr
from scipy.stats import multivariate_normal

import taut
from taut.core import InputError
from taut.inference.exact import Floor, RowBlocks, expectation_step, random_start, run_em
from taut.inference.exact.em import EMState, gathered
from taut.models import FactorAnalysis, ProbabilisticPCA
from taut.models.exact import KeptRows, Scatter

pytestmark = pytest.mark.usefixtures("float64")

ROWS, COLUMNS, RANK = 12, 20, 3
KINDS = [FactorAnalysis, ProbabilisticPCA]


@pytest.fixture
def wide() -> np.ndarray:
    """Rows of three factors, with noise of another size in each column."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(ROWS, RANK)) @ rng.normal(size=(RANK, COLUMNS))
    noise = np.exp(0.5 * rng.normal(size=COLUMNS)) * rng.normal(size=(ROWS, COLUMNS))
    return 2 * common + noise + 5


def started(kind: type, rows: RowBlocks, columns: int = COLUMNS) -> Any:
    center, loadings = jnp.zeros(columns), jnp.ones((columns, RANK))
    model: Any = ProbabilisticPCA(center=center, loadings=loadings, log_variance=jnp.zeros(()))
    if kind is FactorAnalysis:
        noise = jnp.zeros(columns)
        model = FactorAnalysis(center=center, loadings=loadings, log_variances=noise)
    return random_start(model, rows, rows.spread(), seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_give_what_their_scatter_gives(wide, kind):
    """Step by step, as two ways of holding one sum of squares."""
    rows = RowBlocks(wide)
    model = started(kind, rows)
    floor = Floor(None).of(model, rows)
    by_rows, by_scatter = gathered(model, rows), expectation_step(model, rows)
    assert isinstance(by_rows.statistics, KeptRows)
    assert isinstance(by_scatter.statistics, Scatter)

    @eqx.filter_jit
    def moved(state):
        best = state.model.maximized(state.statistics, floor)
        statistics = state.model.rebased(state.statistics, best)
        return EMState(best, statistics), best.log_evidence_of(statistics)

    for _ in range(3):
        (by_rows, evidence), (by_scatter, other) = map(moved, (by_rows, by_scatter))
        assert float(evidence) == pytest.approx(float(other), rel=1e-12)
        np.testing.assert_allclose(by_rows.model.noise, by_scatter.model.noise, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_evidence_of_wide_rows_is_that_of_the_normal_density(wide, kind):
    rows = RowBlocks(wide)
    model = started(kind, rows)
    result = run_em(model, rows, Floor(None).of(model, rows), tolerance=1e-6)
    assert result.converged
    assert result.held == ()
    ended: Any = result.model
    truth = multivariate_normal(ended.center, ended.marginal_covariance).logpdf(wide)
    assert result.log_evidence[-1] == pytest.approx(truth.mean(), rel=1e-12)


def test_the_closed_form_of_wide_rows_is_where_em_ends(wide):
    rows = RowBlocks(wide)
    model = started(ProbabilisticPCA, rows)
    ended: Any = run_em(model, rows, Floor(None).of(model, rows), tolerance=1e-12).model
    best = ProbabilisticPCA.maximum_likelihood(wide, RANK)
    assert best.log_variance == pytest.approx(float(ended.log_variance), abs=1e-6)
    values = np.linalg.svd(wide - wide.mean(axis=0), compute_uv=False)[RANK:] ** 2 / ROWS
    noise = values.sum() / (COLUMNS - RANK)  # the rest of the eigenvalues are 0
    assert np.exp(best.log_variance) == pytest.approx(noise, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_array_has_a_number_for_each_pair_of_columns(kind):
    """An iteration, its evidence and its verdict, by the shapes of every value in the program."""
    columns = 300
    rows = RowBlocks(np.random.default_rng(0).normal(size=(ROWS, columns)))
    model = started(kind, rows, columns)
    floor = Floor(None).of(model, rows)

    def iteration(model, x):
        statistics = model.kept(x)
        best = model.maximized(statistics, floor)
        moved = model.rebased(statistics, best)
        return best, best.log_evidence_of(moved), best.held_by_floor(floor), best.singular(floor)

    x = jnp.asarray(rows.read(0, ROWS))
    program = eqx.filter_make_jaxpr(iteration)(model, x)[0]
    assert max(_sizes(program)) <= ROWS * columns


def _sizes(program: ClosedJaxpr):
    for equation in program.jaxpr.eqns:
        yield from (v.aval.size for v in equation.outvars)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: isinstance(v, ClosedJaxpr)
        ):
            if isinstance(inner, ClosedJaxpr):
                yield from _sizes(inner)


@pytest.mark.parametrize("model", ["ppca", "fa"])
def test_a_wide_table_from_python(wide, model):
    fit = taut.em(wide, model=model, components=2)
    assert fit.facts.em is not None
    assert fit.facts.em.converged
    assert np.isfinite(fit.estimates["log_evidence"].value)


@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_a_covariance_between_more_columns_than_rows_is_refused(wide, covariance):
    """Such a mixture told of 10 million nats a row; a floor that is asked for makes it one."""
    with pytest.raises(InputError) as refused:
        taut.em(wide, model=taut.GMM(covariance=covariance, components=1))
    said = str(refused.value)
    assert "expected more training rows than the 20 columns that vary" in said
    assert said.endswith('Try model="fa", the covariance diag, or floor=0.1.')
    assert taut.em(wide, model="fa", components=1).facts.em is not None
    for model, floor in ((taut.GMM(covariance="diag"), None), (taut.GMM(components=1), 0.1)):
        fit = taut.em(wide, model=model, components=1, floor=floor)
        assert fit.estimates["log_evidence"].value > -200


def test_columns_that_follow_from_one_another_are_named():
    a, b, c, d = np.random.default_rng(0).normal(size=(4, 200))
    fit = taut.em(pl.DataFrame({"a": a, "b": b, "c": c, "sum": a + b, "d": d}), components=1)
    said = " ".join(fit.facts.notes)
    assert "columns 'a', 'b', 'sum' follow from one another" in said
    apart = taut.em(pl.DataFrame({"a": a, "b": b, "c": c, "d": d}), components=1)
    assert not any("follow from one another" in note for note in apart.facts.notes)
