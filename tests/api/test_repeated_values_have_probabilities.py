"""A flow of columns that repeat values: probabilities, or a density that says it has no bound."""

import numpy as np
import pytest
from scipy.stats import norm, poisson

import taut
from taut.core import DENSITY, MASS, NO_BOUND, InputError, Measure

RNG = np.random.default_rng(0)
N = 1500
ROOMS = RNG.poisson(3.0, N)
AREA = RNG.normal(10 * ROOMS, 4.0)
PRICE = RNG.normal(0, 3.0, N)
X = np.column_stack([ROOMS, AREA, PRICE]).astype(float)


def _fit(x, *, layers="affine-coupling:2", epochs=12, **options):
    return taut.fit(
        x,
        model="flow",
        layers=layers,
        hidden=(16,),
        epochs=epochs,
        evidence_particles=20,
        **options,
    )


@pytest.fixture(scope="module")
def fitted():
    return _fit(taut.load_data(X), epochs=30, learning_rate=0.003)


def test_the_number_is_a_lower_bound_that_stays_below_the_truth(fitted):
    estimate = fitted.estimates["log_evidence"]
    assert estimate.side == "lower"
    assert NO_BOUND not in estimate.flags
    assert fitted.facts.measure == Measure((MASS, DENSITY, DENSITY))
    rows = estimate.index
    truth = poisson(3).logpmf(ROOMS) + norm(10 * ROOMS, 4).logpdf(AREA) + norm(0, 3).logpdf(PRICE)
    apart = estimate.values - truth[rows]
    assert apart.mean() < 3 * apart.std() / np.sqrt(len(rows))
    assert apart.mean() > -1.0
    assert any(
        "have probabilities: column 0, counted from 0" in note for note in fitted.facts.notes
    )


def test_draws_are_counts(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    again = taut.load(tmp_path / "run")
    draws = np.asarray(again.sample(4000, key=1))
    rooms = draws[:, 0]
    np.testing.assert_array_equal(rooms, np.rint(rooms))
    assert rooms.min() == 0
    assert abs(rooms.mean() - 3) < 0.3
    assert len(np.unique(draws[:, 1])) > 3900


def test_values_off_the_grid_are_refused_or_have_no_probability(fitted):
    rows = X[:2].copy()
    rows[1, 0] = 2.5
    with pytest.raises(
        InputError, match="row 1, cell 0: expected a value on the grid of its column"
    ):
        fitted.architecture.check(fitted.schema, rows, where="rows")
    values = fitted.evaluate(rows, num_particles=4).log_evidence.values
    assert np.isfinite(values[0])
    assert values[1] == -np.inf


def test_ratings_and_tenths_have_probabilities_below_one():
    """No number of epochs lifts the probability of a value over one."""
    x = np.column_stack([RNG.integers(1, 6, 600), RNG.normal(size=600).round(1)])
    fit = _fit(taut.load_data(x), layers="spline-coupling:2")
    assert fit.facts.measure == Measure((MASS, MASS))
    assert fit.estimates["log_evidence"].values.max() < 0
    assert fit.schema.steps == (1, 0.1)


def test_a_spike_without_a_grid_says_that_it_has_no_bound():
    x = np.column_stack(
        [np.where(RNG.random(600) < 0.5, 100, RNG.uniform(0, 100, 600)), RNG.normal(size=600)]
    )
    fit = _fit(taut.load_data(x), epochs=2)
    for estimate in (fit.estimates["log_evidence"], fit.evidence(x[:9], num_particles=2)):
        assert estimate.side == "none"
        assert NO_BOUND in estimate.flags
        assert "exact" not in str(estimate)
    assert any("no bound: " in n and "column 0, counted from 0" in n for n in fit.facts.notes)


def test_columns_that_follow_from_others_are_refused():
    a, b = RNG.normal(size=(2, 300))
    with pytest.raises(InputError, match=r"column 1, .* is a sum of column 0, .* times constants"):
        _fit(taut.load_data(np.column_stack([a, a, b])))
    with pytest.raises(
        InputError, match=r"column 2, .* is a sum of columns 0, 1, .* times constants"
    ):
        _fit(taut.load_data(np.column_stack([a, b, 2 * a - 3 * b])))
    _fit(taut.load_data(np.column_stack([a, b, a + b + 0.01 * RNG.normal(size=300)])), epochs=1)


def test_a_decoder_narrower_than_the_step_says_so():
    """Its scale decides: a Gaussian that is wider than the steps is the usual reading of them."""
    x = taut.load_data(
        np.column_stack([RNG.integers(0, 2, 600), RNG.normal(size=600)]).astype(float)
    )
    wide = taut.fit(x, model=taut.VAE(latent_dim=1, hidden=(4,)), epochs=1, evidence_particles=2)
    assert NO_BOUND not in wide.estimates["elbo"].flags
    narrow = taut.fit(
        x, model="vae", latent_dim=1, hidden=(32,), scale="dimension", epochs=150,
        evidence_particles=2, learning_rate=0.01,
    )  # fmt: skip
    assert NO_BOUND in narrow.estimates["elbo"].flags
    assert narrow.estimates["elbo"].side == "none"
