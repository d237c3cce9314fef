"""What is exact is said to be exact, and what the floor has made is not; a choice keeps to the first."""

from typing import Any

import numpy as np
import pytest

import taut
from taut.core import NO_BOUND

pytestmark = pytest.mark.usefixtures("float64")

GENERATOR = np.random.default_rng(12)


def _rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return x[:120], x[120:160], x[160:]


def _says(fit: Any, words: str) -> bool:
    return any(words in note for note in fit.facts.notes)


def test_images_whose_pixels_hardly_vary_keep_a_sane_number():
    """A pixel that is blank in training and not in one test row: not 10,000 nats below the others."""
    images = GENERATOR.integers(0, 17, (200, 3, 3))
    images[:, 0] = 0
    images[160, 0, 0] = 8
    images[:, 1, 1] = np.where(GENERATOR.random(200) < 0.03, 16, 0)
    data = taut.load_data(_rows(images), dtype="float64")
    for model in (taut.GMM(2), taut.GMM(2, "diag"), taut.FA(1)):
        fit = taut.em(data, model=model, restarts=1)
        estimate = fit.estimates["log_evidence"]
        # Eight levels off at a deviation of a level / sqrt(12): (8 sqrt(12))^2 / 2 = 384 nats; the
        # other pixel that hardly varies may cost as much again.
        assert estimate.values.min() > -2 * 384 - 100
        assert estimate.side == "none"
        assert NO_BOUND in estimate.flags
        assert "exact" not in str(estimate)
        assert _says(fit, "the grey levels are read as real numbers, with a density")
        assert _says(fit, "no bound: the floor decides this density")


def test_a_spike_has_no_bound_and_says_so(tmp_path):
    """Half of a column is 100: a component on it has whatever density the floor allows."""
    x = GENERATOR.normal(size=(200, 2))
    x[GENERATOR.random(200) < 0.5, 1] = 100.0
    fit: Any = taut.em(_rows(x), model=taut.GMM(2, "diag"), restarts=1)
    assert fit.estimates["log_evidence"].flags == {NO_BOUND}
    (held,) = fit.facts.em.held_apart
    assert held.directions == 1
    assert held.rows == pytest.approx(np.sum(x[:120, 1] == 100.0), rel=1e-6)
    fit.save(tmp_path / "run")
    again = taut.load(tmp_path / "run").evidence(x[160:], num_particles=2)
    assert NO_BOUND in again.flags
    assert (again.side, again.value) == ("none", fit.estimates["log_evidence"].value)
    fit = taut.em(_rows(x), model=taut.GMM(1, "diag"), restarts=1)
    assert fit.estimates["log_evidence"].side == "exact"


def test_a_number_below_independent_columns_is_said_with_what_helps():
    """Columns of very different scale, and one noise variance for all of them."""
    x = GENERATOR.normal(size=(200, 4)) * np.array([1.0, 1e-2, 1e2, 1e-3])
    worse = taut.em(_rows(x), model=taut.PPCA(1))
    assert worse.estimates["log_evidence"].value < worse.estimates["independent_columns"].value - 1
    assert _says(worse, "below independent columns")
    better = taut.em(_rows(x), model=taut.FA(1))
    assert not _says(better, "below independent columns")


def test_the_number_of_components_is_chosen_among_those_that_compare():
    """Four values that most rows share: enough components put one on each, and none has a bound."""
    generator = np.random.default_rng(5)
    spikes = generator.choice([0.0, 3.14159, 11.0, 23.7], 200)
    column = np.where(generator.random(200) < 0.8, spikes, 10 * generator.normal(size=200))
    x = np.column_stack([generator.normal(size=200), column])
    fit: Any = taut.em(_rows(x), model=taut.GMM(covariance="diag"), components=[1, 5])
    curve = {p.components: p.validation for p in fit.facts.em.selection}
    assert curve[5] > curve[1] + 1  # what the spikes promise
    assert fit.facts.em.components == 1
    assert fit.estimates["log_evidence"].side == "exact"
    assert _says(
        fit, "out of the choice, as without a bound or below independent columns: components 5"
    )


def test_an_end_of_the_range_is_said():
    groups = np.repeat(np.arange(4) * 20.0, 50)[GENERATOR.permutation(200), None]
    x = groups + GENERATOR.normal(size=(200, 2))
    model = taut.GMM(covariance="spherical")
    fit = taut.em(_rows(x), model=model, components=[2, 3])
    assert _says(
        fit, "the best of 2 to 3 components is 3, the end of the range: try components 3-6"
    )
    fit = taut.em(_rows(x), model=model, components=[4, 5], select="bic")
    assert _says(
        fit, "the best of 4 to 5 components is 4, the end of the range: try components 1-4"
    )
    fit = taut.em(_rows(x), model=model, components=[3, 4, 5], select="bic")
    assert not _says(fit, "the end of the range")
