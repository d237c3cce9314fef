"""A fit below independent columns says so, and what it says to try is above them or level with them."""

import math

import numpy as np
import pytest

import taut
from taut.core import Estimate
from taut.fitted.below_columns import below_columns

RNG = np.random.default_rng(1)
SCALES = np.array([0.1, 1.0, 5.0])
UNLIKE = RNG.normal(size=(600, 3)) * SCALES  # independent: log p is that of three normals


@pytest.fixture(scope="module")
def ppca():
    return taut.em(UNLIKE, model=taut.PPCA(components=1))


def test_one_noise_variance_for_columns_that_differ_is_below_them(ppca):
    """The truth is known: PPCA's covariance has two equal eigenvalues, the truth has none."""
    difference = ppca.below_columns
    assert difference is not None
    assert difference.value < -1
    (note,) = (n for n in ppca.facts.notes if "below independent columns" in n)
    assert f"{-difference.value:.4g} nats" in note
    assert "the model fa" in note
    held_out = ppca.estimates["independent_columns"]
    entropy = np.sum(np.log(SCALES * math.sqrt(2 * math.pi * math.e)))
    assert abs(held_out.value + entropy) < 5 * held_out.data_error


def test_what_it_says_to_try_is_not_below_them(ppca):
    found = taut.em(UNLIKE, model=taut.FA(components=1), tolerance=1e-6)
    assert found.below_columns is None
    assert not any("below independent" in note for note in found.facts.notes)


def test_too_few_steps_are_told_and_more_of_them_are_the_remedy():
    """Of digits the columns alone have a histogram of 17 grey levels, which takes a fit a while."""
    options = {"latent_dim": 2, "hidden": (16,), "evidence_particles": 50}
    short = taut.fit("digits", epochs=3, **options)
    assert short.facts.ended == "rising"
    assert short.below_columns is not None
    assert any("try more epochs" in note for note in short.facts.notes)
    longer = taut.fit("digits", epochs=60, **options)
    assert longer.below_columns is None


def _pair(model, columns):
    return {
        "log_evidence": Estimate.from_rows(model, side="lower"),
        "independent_columns": Estimate.from_rows(columns, side="exact"),
    }


def test_chance_and_trifles_are_not_told():
    columns = RNG.normal(-10, 1, size=400)
    assert (
        below_columns(_pair(columns - 0.004, columns)) is None
    )  # a twelfth of the error over rows
    assert below_columns(_pair(columns + RNG.normal(-0.1, 3, size=400), columns)) is None
    found = below_columns(_pair(columns - 1 + RNG.normal(0, 3, size=400), columns))
    assert found is not None
    assert found.value == pytest.approx(-1, abs=0.5)


def test_a_row_that_is_not_finite_hides_nothing():
    columns = RNG.normal(-10, 1, size=400)
    model = columns - 3
    model[7] = -math.inf
    found = below_columns(_pair(model, columns))
    assert found is not None
    assert found.value == pytest.approx(-3)
    assert found.count == 399


def test_without_both_numbers_nothing_is_told():
    assert below_columns({}) is None
    bare = Estimate(-3.0, "exact", count=5)
    assert below_columns({"log_evidence": bare, "independent_columns": bare}) is None
