"""What keeps covariances off zero: the floor, the plain addition, and what happens without either."""

import jax.numpy as jnp
import numpy as np
import pytest
from exact_fits import KINDS, fitted, mixture

from taut.core import InputError, RunError
from taut.inference.exact import (
    Floor,
    RowBlocks,
    best_of_restarts,
    check_start,
    random_start,
    run_em,
)
from taut.models import GaussianMixture

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def with_outlier(clusters) -> np.ndarray:
    x = clusters.copy()
    x[-1] = 300.0
    return x


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_the_evidence_rises_under_a_floor_and_the_collapse_is_reported(with_outlier, kind):
    start, rows = mixture(with_outlier, kind), RowBlocks(with_outlier)
    result = run_em(start, rows, Floor(None).of(start, rows), tolerance=0.0, max_iterations=15)
    assert (np.diff(result.objective) > -2e-9).all()
    np.testing.assert_array_equal(result.objective, result.log_evidence)
    (held,) = result.held  # the second component holds the outlier alone
    assert (held.component, held.directions, held.row) == (1, 3, 89)
    assert held.rows == pytest.approx(1.0)


def test_plain_addition_may_lower_the_evidence(clusters):
    start, rows = fitted(clusters, "full", iterations=30).model, RowBlocks(clusters)
    floor = Floor(0.0, 0.5).of(start, rows)
    result = run_em(start, rows, floor, tolerance=0.0, max_iterations=5, monotone=False)
    assert result.log_evidence[1] < result.log_evidence[0] - 1e-2
    with pytest.raises(RunError, match="an objective that rises, got a fall"):
        run_em(start, rows, floor, tolerance=0.0, max_iterations=5)


def test_plain_addition_is_exact_em_for_a_tied_covariance(clusters):
    """Its objective is the log-evidence less N added tr(Sigma^-1) / 2."""
    added, values, evidences = 0.5, [], []
    model, rows = mixture(clusters, "tied"), RowBlocks(clusters)
    for _ in range(15):
        floor = Floor(0.0, added).of(model, rows)
        result = run_em(model, rows, floor, tolerance=0.0, max_iterations=1, monotone=False)
        model = result.model
        assert isinstance(model, GaussianMixture)
        trace = np.trace(np.linalg.inv(np.asarray(model.covariances[0])))
        evidences.append(result.log_evidence[-1])
        values.append(result.log_evidence[-1] - 0.5 * added * trace)
    assert (np.diff(values) > -2e-9).all()
    assert np.ptp(values) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_floor_a_collapse_names_its_row(with_outlier, kind):
    start, rows = mixture(with_outlier, kind), RowBlocks(with_outlier)
    floor = Floor(0.0).of(start, rows)
    if kind == "tied":  # one covariance for all components cannot collapse
        assert run_em(start, rows, floor, max_iterations=5).held == ()
        return
    with pytest.raises(RunError, match="component 1 singular around row 89 in iteration 1"):
        run_em(start, rows, floor, max_iterations=5)


def test_a_singular_covariance_without_a_floor(clusters):
    x = np.concatenate([clusters[:, :2], clusters[:, :1]], axis=1)
    start, rows = mixture(x, "full"), RowBlocks(x)
    with pytest.raises(RunError, match="variances above rounding"):
        run_em(start, rows, Floor(0.0).of(start, rows), max_iterations=5)
    result = run_em(start, rows, Floor(1e-6).of(start, rows), max_iterations=5)
    assert np.isfinite(result.objective).all()


def test_a_constant_cell_needs_a_floor(clusters):
    x = clusters.copy()
    x[:, 1] = 4.0
    with pytest.raises(InputError, match=r"cells that vary.*got cell 1 constant"):
        Floor(0.0).of(mixture(x, "full"), RowBlocks(x))
    known = GaussianMixture(
        jnp.zeros(2), jnp.zeros((2, 2)), jnp.ones((2, 2)), "diag", (3,), ((1, 4.0),)
    )
    np.testing.assert_array_equal(Floor(0.0).of(known, RowBlocks(x)).least, np.zeros(2))


def test_negative_floor(clusters):
    with pytest.raises(InputError, match="floor: expected a number of at least 0, got -1"):
        Floor(-1.0).of(mixture(clusters, "full"), RowBlocks(clusters))


def test_rows_that_cannot_be_fitted(clusters):
    with pytest.raises(InputError, match="rows that differ, got 5 identical ones"):
        RowBlocks(np.ones((5, 3))).spread()
    with pytest.raises(InputError, match="finite numbers, got nan in row 3"):
        RowBlocks(np.where(np.arange(15).reshape(5, 3) == 10, np.nan, 1.0)).spread()
    with pytest.raises(InputError, match="at least one row"):
        RowBlocks(np.ones((0, 3)))
    two = np.repeat(clusters[:2], 10, axis=0)
    many = GaussianMixture(jnp.zeros(3), jnp.zeros((3, 3)), jnp.ones((3, 3)), "diag")
    with pytest.raises(InputError, match="at least 3 distinct rows, got 2"):
        random_start(many, RowBlocks(two), RowBlocks(two).spread(), seed=0)


def test_a_start_of_the_wrong_shape(clusters):
    wanted = mixture(clusters, "diag")
    other = GaussianMixture(jnp.zeros(2), jnp.zeros((2, 4)), jnp.ones((2, 4)), "diag")
    with pytest.raises(InputError, match=r"start, means: expected shape \(2, 3\), got \(2, 4\)"):
        check_start(other, wanted)
    round_one = GaussianMixture(jnp.zeros(2), jnp.zeros((2, 3)), jnp.ones((2, 3)), "diag", (3, 1))
    with pytest.raises(InputError, match="with the same choices, got one with others"):
        check_start(round_one, wanted)


def test_a_start_under_which_a_row_is_impossible(clusters):
    start = GaussianMixture(jnp.zeros(2), jnp.full((2, 3), jnp.nan), jnp.ones((2, 3)), "diag")
    with pytest.raises(InputError, match="a start under which every row is possible"):
        run_em(start, RowBlocks(clusters), Floor(1e-6).of(start, RowBlocks(clusters)))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_floor_above_the_spread_within_clusters(clusters, share):
    """Starts lie above it, so that the objective rises from the first step on."""
    model, rows = mixture(clusters, "full"), RowBlocks(clusters)
    result, _ = best_of_restarts(
        model, rows, Floor(share), restarts=1, seed=0, tolerance=1e-4, max_iterations=50
    )
    assert (np.diff(result.objective) > -2e-9).all()


def test_the_floor_of_weighted_rows_is_that_of_every_column_alike():
    """A tenth of n uniform values have another one within h = -log(0.9) / 2n of them.

    Its relative error is that of a quantile of an exponential variable, below 0.1 of 2,000 values
    of which neighbours are often each other's nearest.
    """
    x = np.random.default_rng(0).uniform(size=(20_000, 3))
    least = RowBlocks(x, weight=np.ones(len(x))).spread().least
    h = -np.log(0.9) / (2 * 2_000)
    np.testing.assert_allclose(np.sqrt(12 * least) / h, 1.0, rtol=0, atol=5 * 0.1)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_floor_of_weighted_rows_is_that_of_rows_repeated(repeats):
    generator = np.random.default_rng(1)
    x = generator.normal(size=(600, 2))
    weight = generator.integers(1, 1 + repeats, len(x))
    whole = RowBlocks(np.repeat(x, weight, axis=0)).spread().least
    np.testing.assert_array_equal(RowBlocks(x, weight=1.0 * weight).spread().least, whole)
