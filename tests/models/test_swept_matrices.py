"""Inverses and determinants of many small matrices, of every size that takes a way of its own."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.models.exact.holes import swept


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9, 12])
def test_swept_matrices_are_inverses(size: int, float64):
    generator = np.random.default_rng(size)
    factor = generator.normal(size=(7, 3, size, size + 2))
    matrix = factor @ np.swapaxes(factor, 2, 3)
    inverse, log_determinant = swept(jnp.moveaxis(jnp.asarray(matrix), (2, 3), (0, 1)))
    exact = np.linalg.inv(matrix)
    wanted = np.moveaxis(exact, (2, 3), (0, 1))
    # A backward stable inverse is within eps times the condition number.
    condition = np.linalg.cond(matrix).max()
    allowed = 8 * size * np.finfo(float).eps * condition
    np.testing.assert_allclose(inverse, wanted, atol=allowed * np.abs(wanted).max(), rtol=0)
    np.testing.assert_allclose(
        log_determinant, np.linalg.slogdet(matrix)[1], atol=allowed, rtol=1e-12
    )
