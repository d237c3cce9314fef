"""Binarization: Bernoulli draws with the right mean, by seed, and where each kind applies."""

import numpy as np
import pytest

from taut.data import load_data, load_rows
from taut.data.binarize import binarized

GREY = np.random.default_rng(0).integers(0, 256, size=(60, 4, 5)).astype(np.uint8)


def test_draws_have_the_mean_of_the_grey_values():
    # For each grey level apart, 40000 draws: five standard errors, and none at all at 0 and 1.
    levels = np.linspace(0, 1, 11, dtype=np.float32)
    draws = binarized(np.tile(levels, (40000, 1)), "static", seed=3)
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(levels * (1 - levels) / len(draws))
    assert (np.abs(draws.mean(axis=0) - levels) <= 5 * error).all()


def test_cells_are_drawn_independently():
    draws = binarized(np.full((40000, 3), 0.5, np.float32), "static", seed=0) * 2 - 1
    products = [(draws[:, i] * draws[:, j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    lagged = (draws[1:, 0] * draws[:-1, 0]).mean()
    assert max(map(abs, [*products, lagged])) < 5 / np.sqrt(len(draws) - 1)


def test_long_data_are_drawn_in_chunks_without_a_seam(monkeypatch):
    x = np.full((50, 3), 0.5, np.float32)
    whole = binarized(x, "static", seed=1)
    monkeypatch.setattr("taut.data.binarize._CHUNK", 7)
    np.testing.assert_array_equal(binarized(x, "static", seed=1), whole)


def test_draws_depend_on_seed_and_part():
    x = np.full((50, 3), 0.5, np.float32)
    drawn = [binarized(x, "static", seed=s, part=p) for s, p in ((0, 0), (1, 0), (0, 1))]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_threshold():
    data = load_data(GREY, binarize="threshold")
    np.testing.assert_array_equal(data.train.x, GREY[data.train.index] >= 128)
    assert (data.schema.support, data.schema.binarize) == ("binary", "threshold")
    half = np.array([[0, 8, 16]], dtype=np.float32) / 16
    np.testing.assert_array_equal(binarized(half, "threshold", seed=0), [[0, 1, 1]])


def test_static_draws_of_a_row_do_not_depend_on_the_split():
    first = load_data(GREY, binarize="static")
    second = load_data(GREY, binarize="static", split=(0.4, 0.3, 0.3))
    rows = load_rows(GREY, first.schema).x
    for data in (first, second):
        for part in (data.train, data.validation, data.test):
            np.testing.assert_array_equal(part.x, rows[part.index])
    assert (first.schema.levels, first.schema.support) == (256, "binary")


def test_dynamic_leaves_training_rows_grey():
    data, static = (load_data(GREY, binarize=how) for how in ("dynamic", "static"))
    np.testing.assert_array_equal(np.rint(data.train.x * 255), GREY[data.train.index])
    np.testing.assert_array_equal(data.validation.x, static.validation.x)
    np.testing.assert_array_equal(data.test.x, static.test.x)
    assert (data.schema.support, data.schema.binarize) == ("binary", "dynamic")
    assert set(np.unique(load_rows(GREY, data.schema).x)) == {0.0, 1.0}


def test_a_drawn_row_is_its_own_redraw():
    drawn = load_data(GREY, binarize="dynamic").test.x
    np.testing.assert_array_equal(binarized(drawn, "static", seed=9), drawn)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_table_of_intensities(dtype):
    flat = GREY.reshape(60, 20).astype(dtype)
    data = load_data(flat, binarize="threshold")
    np.testing.assert_array_equal(data.train.x, flat[data.train.index] >= 128)
    unit = np.random.default_rng(1).uniform(size=(60, 20))
    data = load_data(unit, binarize="threshold")
    np.testing.assert_array_equal(data.train.x, unit[data.train.index] >= 0.5)


def test_binary_data_stay_as_they_are():
    binary = GREY > 127
    data = load_data(binary, binarize="static")
    np.testing.assert_array_equal(data.test.x, binary[data.test.index])


def test_values_that_are_no_intensities(refusal):
    assert refusal(load_data, np.random.default_rng(0).normal(size=(40, 3)), binarize="static") == (
        "array, binarize: expected values in [0, 1] or on a grid of grey levels, got values that "
        "read as 'real'. Try binarize=\"none\"."
    )


def test_unknown_binarization(refusal):
    assert refusal(load_data, GREY, binarize="statc") == (
        "binarize: expected one of none, static, dynamic, threshold, got 'statc'. Try 'static'."
    )
