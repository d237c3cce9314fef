"""Layers that add noise to a grid: the middle of a cell stands for its value, smoothly and exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.transforms import ColumnDequantization, Dequantization

# Layer, rows on its grid, and the steps of its columns.
GRIDS = {
    "integers": (Dequantization((3,)), [[0.0, 1.0, 7.0], [-2.0, 3.0, 0.0]], [1.0, 1.0, 1.0]),
    "levels": (Dequantization((2,), levels=5), [[0.0, 1.0], [0.25, 0.75]], [0.25, 0.25]),
    "columns": (
        ColumnDequantization((0.5, 0.0, 2.0), (-3.25, 0.0, 0.0)),
        [[-3.25, 0.3, 4.0], [1.75, -0.4, 0.0]],
        [0.5, 0.0, 2.0],
    ),
}


@pytest.mark.parametrize(("layer", "rows", "steps"), GRIDS.values(), ids=GRIDS)
def test_the_middle_of_a_cell_is_read_as_its_value(layer, rows, steps, float64):
    for row in jnp.asarray(rows):
        middle = layer.middle_of(row)
        np.testing.assert_allclose(layer.relaxed(middle), row, atol=1e-12)
        np.testing.assert_allclose(layer.data_of(middle), row, atol=1e-12)
        for seed in range(5):
            z = layer.encode(row, jax.random.key(seed)).z
            assert np.all(np.abs(z - middle) <= 0.5 * jnp.asarray(steps) * scale_of(layer) + 1e-12)
            apart = np.abs(layer.relaxed(z) - layer.data_of(z))
            assert np.all(apart <= 0.5 * np.asarray(steps) + 1e-12)


def scale_of(layer) -> float:
    """How many units of z a unit of x is."""
    levels = getattr(layer, "levels", None)
    return 1.0 if levels is None else levels - 1.0
