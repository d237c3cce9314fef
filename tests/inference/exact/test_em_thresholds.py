"""When EM says that it converged, that its objective fell, and that the floor decides a spread."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import Estimate, RunError
from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.inference.exact.candidate import Candidate
from taut.inference.exact.em import _remaining
from taut.models import GaussianMixture, ProbabilisticPCA
from taut.models.exact import COVARIANCES
from taut.models.exact.covariances import CovarianceFloor

pytestmark = pytest.mark.usefixtures("float64")

X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.fixture
def run(monkeypatch) -> Callable[..., Any]:
    """EM whose objective gains what it is told to, nats per row."""
    rows = RowBlocks(X)
    made: Any = ProbabilisticPCA
    skeleton = made(jnp.zeros(3), jnp.zeros((3, 1)), jnp.zeros(()), (3,))
    start = random_start(skeleton, rows, rows.spread(), seed=0)
    floor = Floor(1e-3).of(skeleton, rows)
    module = sys.modules[run_em.__module__]

    def iterate(gains: list[float], **options: Any) -> Any:
        heights = iter(-10.0 + np.concatenate([[0.0], np.cumsum(gains)]))
        monkeypatch.setattr(module, "_objective", lambda *_: (len(X) * next(heights), 0.0))
        return run_em(start, rows, floor, max_iterations=len(gains), **options)

    return iterate


# Gains of the iterations -> M-steps, and whether it converged, at a tolerance of a sixteenth of a nat.
# What remains after gains g and then h is h^2 / (g - h), as for a geometric series.
STOPS: list[tuple[list[float], int, bool]] = [
    ([0.5, 0.25, 0.03125], 3, True),
    ([0.5, 0.0625, 0.5], 2, True),
    ([0.125, 0.0625], 2, False),  # a sixteenth remains: a tie goes on
    ([0.125, 0.0624], 2, True),
    ([0.5, 0.25, 0.125], 3, False),
    ([0.03125], 1, False),  # one gain tells of no end
    ([0.001, 0.002, 0.004], 3, False),  # nor do gains that grow
    ([0.0, 0.5], 1, True),
]


@pytest.mark.parametrize(("gains", "steps", "converged"), STOPS)
def test_em_stops_where_less_than_the_tolerance_remains(gains, steps, converged, run):
    result = run(gains, tolerance=0.0625)
    assert (len(result.log_evidence) - 1, result.converged) == (steps, converged)


def test_what_remains_of_a_geometric_series_is_its_rest():
    """Whatever the rate: a rule on the gain alone stops 100 times earlier at 0.99 than at 0."""
    for rate in (0.1, 0.9, 0.99):
        heights = [-10 - rate**n for n in range(6)]
        assert _remaining(heights) == pytest.approx(rate**5, rel=1e-6)


def test_with_a_tolerance_of_nothing_it_goes_on_to_the_end(run):
    result = run([0.5, 0.0, 0.0], tolerance=0.0)
    assert (len(result.log_evidence) - 1, result.converged) == (3, False)


def test_a_fall_within_rounding_is_none_and_a_larger_one_ends_the_run(run):
    # Twice a billionth of a nat per row, beside the rounding of numbers of order ten.
    assert run([0.5, -1e-9], tolerance=1e-6).converged
    with pytest.raises(RunError, match="a fall of 1e-08 nats per row in iteration 2"):
        run([0.5, -1e-8], tolerance=1e-6)
    assert len(run([0.5, -0.25, 0.5], tolerance=1e-6, monotone=False).log_evidence) == 4


@pytest.mark.parametrize("kind", COVARIANCES)
def test_the_floor_decides_the_directions_whose_own_variance_is_below_it(kind):
    """Counted by NumPy's eigenvalues of the rows' covariance, in units of the floor."""
    covariance = np.cov(X.T, bias=True)
    own = np.diag(covariance)
    for least in (1.01 * own, 0.2 * own, np.array([3.0, 0.1, 0.1]) * own, 1e-9 * own):
        units = np.sqrt(least)
        counted = {
            "full": np.sum(np.linalg.eigvalsh(covariance / units / units[:, None]) < 1),
            "diag": np.sum(own < least),
            "spherical": 3 * (own.mean() < least.mean()),
        }
        scale = COVARIANCES[kind].isotropic(jnp.ones(3), 1)
        model = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 3)), scale, kind, (3,))
        statistics = model.assigned(jnp.asarray(X), jnp.ones((len(X), 1)))
        floor = CovarianceFloor(jnp.asarray(least), jnp.zeros(()))
        held = model.maximized(statistics, floor).held_by_floor(floor)
        assert held.tolist() == [counted["full" if kind == "tied" else kind]]


@pytest.mark.parametrize("gains", [STOPS[2], STOPS[3]])
def test_a_rule_with_another_side_is_caught(gains, run, monkeypatch):
    """Planted: the tolerance is taken for a little more and a little less than what it is."""
    module = sys.modules[run_em.__module__]
    remaining = module._remaining  # pyright: ignore[reportAttributeAccessIssue]
    factor = 1.01 if gains is STOPS[2] else 0.99
    monkeypatch.setattr(module, "_remaining", lambda objectives: remaining(objectives) / factor)
    stops: Any = test_em_stops_where_less_than_the_tolerance_remains
    with pytest.raises(AssertionError):
        stops(*gains, run)


@pytest.mark.parametrize(
    ("behind", "spread", "below"),
    [
        (2.1, 1.0, True), (1.9, 1.0, False),  # two errors over rows of the difference
        (2e-6, 0.0, True), (5e-7, 0.0, False),  # rounding
        (np.inf, 1.0, True),
    ],
)  # fmt: skip
def test_a_candidate_is_below_columns_by_more_than_two_errors(behind, spread, below):
    """Rows whose columns differ by far more than the two do from each other, row by row."""
    columns = 100 * np.sin(np.arange(400.0))
    noise = np.tile([-1.0, 1.0], 200) * spread * np.sqrt(399)  # whose mean has the error `spread`
    validation, alone = (
        Estimate.from_rows(values, side="exact") for values in (columns - behind + noise, columns)
    )
    judged: Any = SimpleNamespace(validation=validation, columns=alone)
    read: Any = Candidate.below_columns
    assert read.fget(judged) == below
