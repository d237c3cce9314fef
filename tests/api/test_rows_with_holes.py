"""Fits of rows with missing cells: only what is observed counts, in every number and on every way in."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import taut
from taut.core import InputError

RNG = np.random.default_rng(0)
FULL = RNG.normal(size=(240, 2)) @ RNG.normal(size=(2, 4)) + 0.3 * RNG.normal(size=(240, 4))
HOLES = np.where(RNG.random(FULL.shape) < 0.3, np.nan, FULL)
QUICK = {"hidden": [8], "latent_dim": 2, "epochs": 2, "evidence_particles": 20}


@pytest.fixture(scope="module")
def fitted() -> taut.Fit:
    return taut.fit(HOLES, **QUICK)


def test_every_number_is_of_the_observed_cells(fitted):
    assert all(np.isfinite(e.value) for e in fitted.estimates.values())
    data = taut.load_data(HOLES)
    train, test = data.train[:].x, data.test.x
    mean, var = np.nanmean(train, axis=0), np.nanvar(train, axis=0)
    # The family has one scale for all columns, in units of each one's own deviation.
    cells = -0.5 * (np.log(2 * np.pi * var) + (test - mean) ** 2 / var)
    np.testing.assert_allclose(
        fitted.estimates["independent_columns"].value, np.nansum(cells, axis=1).mean(), rtol=2e-3
    )


def test_the_encoder_is_told_what_it_does_not_see(fitted):
    row = FULL[:1].copy()
    at_the_mean = row.copy()
    at_the_mean[0, 1] = fitted.schema.shift[1]
    row[0, 1] = np.nan
    assert np.abs(fitted.encode(row) - fitted.encode(at_the_mean)).max() > 1e-4


def test_rows_may_come_as_arrays_frames_or_masked(fitted):
    frame = pl.DataFrame(HOLES[:9], schema=list("abcd")).fill_nan(None)
    masked = np.ma.masked_invalid(HOLES[:9])
    wanted = fitted.encode(HOLES[:9])
    assert np.isfinite(wanted).all()
    named = taut.fit(pl.DataFrame(HOLES, schema=list("abcd")), **QUICK)
    np.testing.assert_array_equal(named.encode(frame), named.encode(HOLES[:9]))
    np.testing.assert_array_equal(fitted.encode(masked), wanted)
    assert np.isfinite(fitted.reconstruct(HOLES[:9])).all()
    rows = taut.load_data(HOLES).test
    rows = replace(rows, index=np.arange(len(rows), dtype=np.int32))  # those of an array
    by_array, by_set = (fitted.evaluate(r, num_particles=20) for r in (rows.x, rows))
    assert by_array.log_evidence.value == by_set.log_evidence.value


def test_a_run_is_kept_and_read_again(fitted, tmp_path):
    again = taut.load(fitted.save(tmp_path / "run"))
    assert again.schema.holes
    np.testing.assert_array_equal(again.encode(HOLES[:9]), fitted.encode(HOLES[:9]))


def test_streamed_rows_are_trained_on_without_their_holes(tmp_path):
    np.save(tmp_path / "a.npy", HOLES)
    found = taut.fit(str(tmp_path / "a.npy"), stream="yes", **QUICK)
    assert all(np.isfinite(e.value) for e in found.estimates.values())
    assert all(np.isfinite(step["bound"]) for step in found.history)


def test_a_model_that_needs_whole_rows_says_which_does_not():
    with pytest.raises(
        InputError,
        match=r"every cell for the model flow, got \d+ missing, the first in row \d+, .*VAE",
    ):
        taut.fit(HOLES, model="flow", epochs=1)
    whole = taut.fit(FULL, model="flow", layers="affine-coupling:1", hidden=[4], epochs=1)
    with pytest.raises(InputError, match="a value in every cell for the model flow, got "):
        whole.evaluate(HOLES)
    with pytest.raises(InputError, match="a value in every cell for the model flow, got "):
        whole.encode(HOLES)
