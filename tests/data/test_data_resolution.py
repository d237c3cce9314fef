"""How far apart the values of a column lie."""

import numpy as np
import pytest

from taut.data import resolution

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 1000.0])
def test_of_a_rounded_column_it_is_the_step(step):
    x = step * np.rint(20 * GENERATOR.normal(size=(400, 1)))
    assert resolution(x)[0] == pytest.approx(step, rel=1e-12)
    assert resolution(x + 7e6 * step)[0] == pytest.approx(step, rel=1e-6)


def test_a_few_finer_values_and_the_noise_of_sums_do_not_count():
    tenths = np.rint(40 * GENERATOR.normal(size=400)) / 10
    summed = tenths + np.where(
        np.arange(400) % 2, 0.1 + 0.2 - 0.3, 0.0
    )  # 5e-17 beside some of them
    mistyped = np.where(tenths == tenths.max(), tenths + 0.0123, tenths)
    assert len(np.unique(mistyped)) == len(np.unique(tenths))
    for column in (summed, mistyped):
        assert resolution(column[:, None])[0] == pytest.approx(0.1, rel=1e-9)


def test_of_a_continuous_column_it_shrinks_with_the_rows_and_moves_with_the_unit():
    x = GENERATOR.normal(size=(1000, 1))
    # A tenth of the rows of density f have a neighbour within -log(0.9) / (2 N f) on either side.
    few, many = resolution(x[:100])[0], resolution(x)[0]
    assert 1e-5 < many < few / 3
    assert resolution(1e4 * x - 3)[0] == pytest.approx(1e4 * many, rel=1e-6)


def test_pixels_share_theirs_and_a_constant_column_has_none():
    images = GENERATOR.integers(0, 17, (50, 3, 3)) / 16.0
    images[:, 0, 0] = 0.0
    np.testing.assert_allclose(resolution(images), np.full((3, 3), 1 / 16), rtol=1e-12)
    table = np.column_stack([np.full(50, 0.1), images[:, 1, 1]])
    np.testing.assert_allclose(resolution(table), [0.0, 1 / 16], rtol=1e-12)


def test_weights_are_rows_repeated():
    values = np.array([0.0, 0.1, 1.0, 2.0, np.nan, 5.0])[:, None]
    weight = np.array([1, 1, 20, 20, 3, 1])
    assert resolution(values)[0] == pytest.approx(0.1)
    for found in (
        resolution(values, weight.astype(float)),
        resolution(np.repeat(values, weight, 0)),
    ):
        assert found[0] == pytest.approx(0.9)
