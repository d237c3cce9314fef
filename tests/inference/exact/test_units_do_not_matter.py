"""A fit in other units is the fit in those units: x -> a x + b moves the log-evidence by -sum log |a|.

p_y(y) = p_x((y - b) / a) / |a|
"""

from typing import Any

import numpy as np
import pytest

import taut
from taut.core import NO_BOUND

pytestmark = pytest.mark.usefixtures("float64")

ALIKE = {  # models with one variance for all columns follow a common change of scale alone
    "gmm full": (taut.GMM(2), False),
    "gmm diag": (taut.GMM(2, "diag"), False),
    "gmm tied": (taut.GMM(2, "tied"), False),
    "gmm spherical": (taut.GMM(2, "spherical"), True),
    "ppca": (taut.PPCA(1), True),
    "fa": (taut.FA(1), False),
}
SCALES = np.array([1e-4, 1e4, -3.0])
SHIFTS = np.array([0.5, 1e7, -40.0])


def _fits(x: np.ndarray, model: Any, common: bool, **options: Any) -> tuple[Any, Any, float]:
    """The fits before and after a change of units, and the sum of log |a|."""
    scale = np.full(3, 1e4) if common else SCALES
    y = x * scale + SHIFTS
    one, other = (taut.em((v, v, v), model=model, restarts=2, **options) for v in (x, y))
    return one, other, float(np.log(np.abs(scale)).sum())


@pytest.mark.parametrize("name", ALIKE)
def test_of_any_model(name, clusters):
    model, common = ALIKE[name]
    one, other, volume = _fits(clusters, model, common)
    first, second = (f.estimates["log_evidence"] for f in (one, other))
    np.testing.assert_allclose(second.values + volume, first.values, atol=2e-6)
    assert (first.side, second.side) == ("exact", "exact")
    columns = [f.estimates["independent_columns"].value for f in (one, other)]
    assert columns[1] + volume == pytest.approx(columns[0], abs=1e-6)


def test_of_online_em(clusters):
    model, common = ALIKE["gmm diag"]
    one, other, volume = _fits(clusters, model, common, online=True, batch_size=30, passes=2)
    first, second = (f.estimates["log_evidence"].values for f in (one, other))
    np.testing.assert_allclose(second + volume, first, atol=2e-6)


@pytest.mark.parametrize("model", [taut.GMM(2), taut.FA(2)], ids=["gmm", "fa"])
def test_where_the_floor_decides(model, clusters):
    """A column that is the sum of two others: the number is the floor's, and moves with the units."""
    x = np.column_stack([clusters[:, 0], clusters[:, 1], clusters[:, 0] + clusters[:, 1]])
    one, other, volume = _fits(x, model, False)
    first, second = (f.estimates["log_evidence"] for f in (one, other))
    assert second.value + volume == pytest.approx(first.value, abs=1e-3)
    assert NO_BOUND in first.flags & second.flags
    assert (first.side, second.side) == ("none", "none")


@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_clusters_far_apart_keep_their_own_width(kind):
    """Ten thousand standard deviations apart: a floor of the whole variance would be five of them."""
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=(150, 1)), 9999 + generator.normal(size=(150, 1))]
    x = np.concatenate(groups)
    fit: Any = taut.em((x, x, x), model=taut.GMM(2, kind), restarts=1)
    spread = [group.std() for group in groups]
    if kind == "tied":
        spread = [np.sqrt(np.mean(np.square(spread)))]
    np.testing.assert_allclose(np.sort(np.abs(fit.model.scale).ravel()), np.sort(spread), rtol=1e-9)
    assert fit.facts.em.held_apart == ()
    assert fit.estimates["log_evidence"].side == "exact"
