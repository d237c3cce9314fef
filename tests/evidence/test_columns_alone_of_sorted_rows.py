"""Of many training rows some stand for all: they are from all over, as a file may be sorted."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import taut
from taut.api.exact_notes import exact_notes
from taut.core import Datum, Estimate
from taut.data.row_source import RowSource
from taut.evidence import independent_columns
from taut.evidence.exact_columns import exact_columns
from taut.inference.exact import Held
from taut.inference.exact.candidate import Candidate, Course
from taut.inference.exact.selection import Selected
from taut.models import GaussianMixture, LatentVariableModel, StandardNormal
from taut.models.likelihoods import Bernoulli, Gaussian

MODULE = sys.modules["taut.evidence.independent_columns"]
ONE = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 1)), jnp.ones((1, 1)), "diag", (1,))
GENERATOR = np.random.default_rng(0)
# Both rise. A hundred rows lose about 1 / 200 nats for each number that they fit.
ROWS = {
    "levels": (np.repeat([0.0, 1.0], 200)[:, None], Bernoulli(), 2),
    "family": (np.sort(GENERATOR.normal(size=(400, 1)), axis=0), Gaussian(shape=(1,)), None),
}


@pytest.mark.parametrize("name", ROWS)
def test_columns_alone_are_those_of_all_rows(name, monkeypatch, float64):
    x, likelihood, levels = ROWS[name]
    rows = Datum(x)
    model = LatentVariableModel(StandardNormal(1), None, likelihood, (1,))
    whole = independent_columns(model, rows, rows, levels=levels)
    monkeypatch.setattr(MODULE, "BASELINE_ROWS", 100)
    found = independent_columns(model, rows, rows, levels=levels)
    assert found.value == pytest.approx(whole.value, abs=5 / 200)


def _coarse_first(number: int) -> np.ndarray:
    """Two thousand rows with values 6 apart, and then others without a step."""
    fine = GENERATOR.normal(size=number - 2000) / 100
    return np.concatenate([6.0 * (np.arange(2000) % 2), fine])


def test_the_resolution_of_a_column_is_that_of_all_rows():
    x = _coarse_first(20_000)[:, None]
    found = exact_columns(ONE, x, Datum(x))
    assert found.side == "exact"
    assert found.value == pytest.approx(norm.logpdf(x, x.mean(), x.std()).mean(), rel=1e-9)


def test_moments_of_columns_are_those_of_all_rows_however_few_are_read_together(monkeypatch):
    x = GENERATOR.normal(size=(50, 3))
    x[GENERATOR.random(x.shape) < 0.2] = np.nan
    model = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 3)), jnp.ones((1, 3)), "diag", (3,))
    whole = exact_columns(model, x, Datum(x))
    monkeypatch.setattr("taut.data.slabs._CELLS", 12)
    found = exact_columns(model, x, Datum(x))
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-12)


def _notes_of_a_density_without_bound(data: taut.Data) -> str:
    course = Course(steps=1, held=(Held(None, 1, 8000.0, 0),))
    number = Estimate(0.0, "exact")
    best = Candidate(taut.GMM(1), ONE, (), course, 0.0, number, number, 0.0)
    return " ".join(exact_notes(Selected(best, (best,)), data))


def test_notes_are_of_all_rows():
    """Of the first rows alone, values come up again and one column is twice the other."""
    first = _coarse_first(8000)
    second = np.where(np.arange(8000) < 2000, 2 * first, GENERATOR.normal(size=8000))
    x = np.stack([first, second], axis=1)
    data = taut.load_data((x, x[-5:], x[-5:]))
    said = _notes_of_a_density_without_bound(data)
    assert "no bound" in said
    assert "come up again" not in said
    assert "follow from one another: leave out" not in said


def test_notes_read_rows_once(monkeypatch):
    """Of rows on disk each sample is a pass over the file."""
    x = np.round(GENERATOR.normal(size=(500, 3)))
    x[:, 2] = x[:, 0] + x[:, 1]
    data = taut.load_data(x, support="real")
    read = []
    sample = RowSource.sample
    monkeypatch.setattr(RowSource, "sample", lambda *a, **o: read.append(a) or sample(*a, **o))
    said = _notes_of_a_density_without_bound(data)
    assert "come up again" in said
    assert "follow from one another: leave out" in said
    assert len(read) == 1
