"""Rows that a fit is given are read as its own data were."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.data import load_data, load_rows

RNG = np.random.default_rng(4)
TINY: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "evidence_particles": 4}
GREY = RNG.integers(0, 256, (80, 4, 4)).astype(np.uint8)
IMAGES = {
    "grey of bytes": (GREY, {}),
    "few grey levels": (RNG.integers(0, 17, (80, 4, 4)), {}),
    "0 and 255": (np.where(GREY > 128, 255, 0).astype(np.uint8), {}),
    "drawn": (GREY, {"binarize": "static"}),
    "at one half": (GREY, {"binarize": "threshold"}),
}


@pytest.fixture(scope="module", params=IMAGES)
def of_whole_numbers(request):
    values, options = IMAGES[request.param]
    return taut.fit(load_data(values, **options), **TINY), values[:12]


def test_whole_numbers_of_the_source_are_mapped_onto_the_support(of_whole_numbers):
    fitted, values = of_whole_numbers
    own = load_rows(values, fitted.schema)
    wanted = fitted.evidence(own).values
    assert np.isfinite(wanted).all()
    with_hole = np.where(np.arange(16).reshape(4, 4) == 3, np.nan, values)
    for given in (values, values.astype(np.int64), values.astype(float), jnp.asarray(values)):
        np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
        np.testing.assert_array_equal(fitted.encode(given), fitted.encode(own))
        scores = fitted.score(given).score.values
        np.testing.assert_array_equal(scores, fitted.score(own).score.values)
    np.testing.assert_array_equal(fitted.encode(values[0]), fitted.encode(own.x[0]))
    assert np.asarray(fitted.reconstruct(values[0])).shape == (4, 4)
    assert np.isfinite(fitted.evidence(with_hole).values).all()


def test_rows_on_the_support_stay_as_they_are(of_whole_numbers):
    fitted, values = of_whole_numbers
    x = load_rows(values, fitted.schema).x
    wanted = fitted.evidence(load_rows(values, fitted.schema)).values
    for given in (x, x.astype(np.float64), jnp.asarray(x)):
        np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
    if fitted.schema.support == "binary":
        for given in (x.astype(bool), x.astype(np.int8)):
            np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
    assert np.isfinite(fitted.encode(np.asarray(fitted.reconstruct(x)) * 1.01)).all()


def test_whole_numbers_off_the_grid_are_refused(of_whole_numbers):
    fitted, values = of_whole_numbers
    beyond = values.astype(np.int64)
    beyond[3, 2, 1] = 999
    with pytest.raises(taut.InputError, match=r"row 3.*got 999"):
        fitted.evidence(beyond)
