"""When EM says that it converged, that its objective fell, and that the floor holds a component."""

import sys
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import RunError
from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.models import GaussianMixture, ProbabilisticPCA
from taut.models.exact import COVARIANCES
from taut.models.exact.covariances import CovarianceFloor

pytestmark = pytest.mark.usefixtures("float64")

X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.fixture
def run(monkeypatch) -> Callable[..., Any]:
    """EM whose objective gains what it is told to, nats per row."""
    rows = RowBlocks(X)
    skeleton = ProbabilisticPCA(jnp.zeros(3), jnp.zeros((3, 1)), jnp.zeros(()), (3,))
    start = random_start(skeleton, rows, rows.spread(), seed=0)
    floor = Floor(1e-3).of(skeleton, rows)
    module = sys.modules[run_em.__module__]

    def iterate(gains: list[float], **options: Any) -> Any:
        heights = iter(-10.0 + np.concatenate([[0.0], np.cumsum(gains)]))
        monkeypatch.setattr(module, "_objective", lambda *_: (len(X) * next(heights), 0.0))
        return run_em(start, rows, floor, max_iterations=len(gains), **options)

    return iterate


# Gains of the iterations -> M-steps, and whether it converged, at a tolerance of a sixteenth of a nat.
STOPS: list[tuple[list[float], int, bool]] = [
    ([0.5, 0.25, 0.03125], 3, True),
    ([0.5, 0.03125, 0.5], 2, True),
    ([0.5, 0.25, 0.0625], 3, False),  # a tie goes on
    ([0.5, 0.0625, 0.0624], 3, True),
    ([0.5, 0.25, 0.125], 3, False),
    ([0.0, 0.5], 1, True),
]


@pytest.mark.parametrize(("gains", "steps", "converged"), STOPS)
def test_em_stops_at_the_first_gain_below_the_tolerance(gains, steps, converged, run):
    result = run(gains, tolerance=0.0625)
    assert (len(result.log_evidence) - 1, result.converged) == (steps, converged)


def test_with_a_tolerance_of_nothing_it_goes_on_to_the_end(run):
    result = run([0.5, 0.0, 0.0], tolerance=0.0)
    assert (len(result.log_evidence) - 1, result.converged) == (3, False)


def test_a_fall_within_rounding_is_none_and_a_larger_one_ends_the_run(run):
    # Twice a billionth of a nat per row, beside the rounding of numbers of order ten.
    assert run([0.5, -1e-9], tolerance=1e-6).converged
    with pytest.raises(RunError, match="a fall of 1e-08 nats per row in iteration 2"):
        run([0.5, -1e-8], tolerance=1e-6)
    assert len(run([0.5, -0.25, 0.5], tolerance=1e-6, monotone=False).log_evidence) == 4


def _held(kind: str, least: np.ndarray, *, added: float = 0.0) -> bool:
    """Whether one component that owns all rows is said to be held by a floor of that scatter."""
    scale = COVARIANCES[kind].isotropic(jnp.ones(3), 1)
    model = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 3)), scale, kind, (3,))
    statistics = model.assigned(jnp.asarray(X), jnp.ones((len(X), 1)))
    floor = CovarianceFloor(jnp.asarray(least), jnp.ones(()), jnp.asarray(added))
    return bool(np.asarray(model.held_by_floor(statistics, floor))[0])


@pytest.mark.parametrize("kind", COVARIANCES)
def test_a_component_is_held_where_the_floor_outweighs_its_rows_in_every_column(kind):
    own = len(X) * X.var(axis=0)  # the rows' scatter about their mean
    above, below = 1.0001 * own, 0.9999 * own
    one = np.where(np.arange(3) == 1, 0.5 * own, 2 * own)
    assert _held(kind, above) == (kind != "tied")  # which belongs to no component
    assert not _held(kind, below)
    # A spherical component has one variance, the mean over the columns.
    assert _held(kind, one) == (kind == "spherical")
    assert _held(kind, np.zeros(3), added=1.0001 * X.var(axis=0).max()) == (kind != "tied")
    assert not _held(kind, np.zeros(3), added=0.9999 * X.var(axis=0).min())


@pytest.mark.parametrize("gains", [STOPS[2], STOPS[1]])
def test_a_rule_with_another_side_is_caught(gains, run, monkeypatch):
    """Planted: the tolerance is taken for twice and for a half of what it is."""
    module = sys.modules[run_em.__module__]
    iterate = module._iterate  # pyright: ignore[reportAttributeAccessIssue]

    def scaled(factor: float) -> Any:
        return lambda model, rows, floor, tolerance, *rest: iterate(
            model, rows, floor, factor * tolerance, *rest
        )

    factor = 1.01 if gains is STOPS[2] else 0.4
    monkeypatch.setattr(module, "_iterate", scaled(factor))
    with pytest.raises(AssertionError):
        test_em_stops_at_the_first_gain_below_the_tolerance(*gains, run)
