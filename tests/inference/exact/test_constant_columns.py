"""A column that is constant over the training rows has no density: it adds 0 nats."""

from typing import Any

import numpy as np
import pytest

import taut
from taut.data import load_data

pytestmark = pytest.mark.usefixtures("float64")

MODELS = {
    "gmm full": taut.GMM(2),
    "gmm diag": taut.GMM(2, "diag"),
    "gmm tied": taut.GMM(2, "tied"),
    "gmm spherical": taut.GMM(2, "spherical"),
    "ppca": taut.PPCA(1),
    "fa": taut.FA(1),
}
VALUES = (0.1, 2.0, 1e9 / 3, -1e-7)  # sums of the first and the third are off by rounding


def _with(x: np.ndarray, value: float) -> np.ndarray:
    return np.column_stack([x[:, 0], np.full(len(x), value), x[:, 1:]])


@pytest.mark.parametrize("name", MODELS)
def test_the_rest_is_fitted_as_if_it_were_not_there(name, clusters, tmp_path):
    """Values differ in how they are found to be constant, which no model sees: one takes them all."""
    alone = taut.em((clusters,) * 3, model=MODELS[name], restarts=1)
    for value in VALUES if name == "gmm diag" else VALUES[2:3]:
        x = _with(clusters, value)
        fit: Any = taut.em((x, x, x), model=MODELS[name], restarts=1)
        for quantity, estimate in fit.estimates.items():
            other = alone.estimates[quantity]
            np.testing.assert_allclose(estimate.values, other.values, atol=1e-9)
            assert estimate.side == "exact"
        assert fit.facts.em.free_parameters == alone.facts.em.free_parameters
        assert fit.facts.em.bic == pytest.approx(alone.facts.em.bic, rel=1e-12)
        assert any("left out of the density, and adds 0 nats" in n for n in fit.facts.notes)
    fit.save(tmp_path / "run")
    back = taut.load(tmp_path / "run")
    drawn = np.asarray(back.sample(4))
    assert drawn.shape == (4, 4)
    np.testing.assert_array_equal(drawn[:, 1], value)
    np.testing.assert_array_equal(np.asarray(back.reconstruct(x[:2]))[:, 1], value)
    evidence = back.evaluate(x[:5], num_particles=2).log_evidence
    np.testing.assert_allclose(evidence.values, fit.evidence(x[:5], num_particles=2).values)


def test_whether_a_column_is_constant_does_not_hang_on_the_number_of_rows(clusters):
    for rows in range(20, 60, 7):
        schema = load_data((_with(clusters[:rows], 0.1),) * 3, dtype="float64").schema
        assert schema.constant == (None, 0.1, None, None)
    nearly = _with(clusters, 0.1)
    nearly[3, 1] = np.nextafter(0.1, 1)
    assert load_data((nearly,) * 3, dtype="float64").schema.constant is None


def test_another_value_in_held_out_rows_is_said(clusters):
    x = _with(clusters, 0.1)
    other = x.copy()
    other[:3, 1] = 7.0
    fit = taut.em((x, x, other), model=taut.GMM(2, "diag"), restarts=1)
    assert any(
        "column 1 (counted from 0) is 0.1 in all training rows but not in 3 of the 90 test" in note
        for note in fit.facts.notes
    )
