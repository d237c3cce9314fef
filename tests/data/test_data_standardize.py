"""Shift and scale: of the training rows alone, exact for constants, refused where float32 blurs."""

import statistics

import numpy as np
import pytest

from taut.data import load_data

RNG = np.random.default_rng(0)


def test_mean_and_deviation_of_the_training_rows():
    table = RNG.normal(size=(50, 3)) * [1, 10, 0.01] + [0, 5, -3]
    data = load_data(table, dtype=np.float64)
    train = table[data.train.index]
    np.testing.assert_array_equal(data.train.x, train)
    for i in range(3):
        column = train[:, i].tolist()
        assert data.schema.shift[i] == pytest.approx(statistics.fmean(column), rel=1e-14)
        assert data.schema.scale[i] == pytest.approx(statistics.pstdev(column), rel=1e-13)
    assert data.schema.shift[1] != pytest.approx(table[:, 1].mean(), rel=1e-6)
    assert data.train.schema is data.validation.schema is data.test.schema is data.schema


def test_images_share_one_shift_and_scale():
    images = RNG.normal(size=(50, 3, 4)) * 2 + 1
    data = load_data(images, dtype=np.float64)
    cells = images[data.train.index].ravel().tolist()
    assert data.schema.shift == pytest.approx((statistics.fmean(cells),), rel=1e-14)
    assert data.schema.scale == pytest.approx((statistics.pstdev(cells),), rel=1e-13)


def test_constant_columns_keep_scale_one_and_are_named():
    table = RNG.normal(size=(50, 8))
    table[:, :7] = 0.1
    data = load_data(table)
    assert data.schema.scale[:7] == (1.0,) * 7
    assert data.schema.shift[:7] == (float(np.float32(0.1)),) * 7
    assert data.notes == (
        "constant over the training rows: columns 0, 1, 2, 3, 4 and 2 more, counted from 0",
    )


def test_constant_named_column():
    import polars as pl

    data = load_data(pl.DataFrame({"flat": [2.5] * 50, "a": RNG.normal(size=50)}))
    assert data.notes == ("constant over the training rows: column 'flat'",)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (RNG.normal(size=(40, 3)), {"standardize": False}),
        (RNG.integers(0, 9, size=(40, 3)), {}),
        (RNG.integers(0, 2, size=(40, 3)), {}),
        (RNG.uniform(size=(40, 3, 3)), {}),
    ],
)
def test_other_values_are_not_standardised(array, options):
    schema = load_data(array, **options).schema
    assert schema.shift is None
    assert schema.scale is None


def test_constant_pixels_are_no_news():
    images = np.zeros((40, 3, 3))
    images[:, 1, 1] = RNG.uniform(size=40)
    assert load_data(images).notes == ()


def test_columns_that_float32_blurs(refusal):
    import polars as pl

    frame = pl.DataFrame({"a": RNG.normal(size=40), "time": 1.6e9 + np.arange(40)})
    message = refusal(load_data, frame)
    assert message.startswith(
        "data frame, column 'time': expected values that float32 tells apart, got a spread of 11.5 "
    )
    assert message.endswith('Try precision="float64", or subtracting an offset.')
    data = load_data(frame, dtype="float64")
    np.testing.assert_array_equal(data.train.x[:, 1], 1.6e9 + data.train.index)
