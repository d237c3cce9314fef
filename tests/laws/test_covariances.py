"""Registry x law: every kind of covariance against the dense matrices that its factors make."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.models.exact import COVARIANCES, AbstractCovariance

pytestmark = pytest.mark.usefixtures("float64")
NUM, SIZE, ROWS = 2, 3, 5
over_kinds = pytest.mark.parametrize("kind", COVARIANCES.values(), ids=COVARIANCES.keys())


def drawn(kind: AbstractCovariance) -> tuple:
    """Scales, means and rows of random parameters, and the covariances of the factors."""
    generator = np.random.default_rng(0)
    scale = np.abs(generator.normal(size=kind.shape(NUM, SIZE))) + 0.5
    scale = np.tril(scale) if kind.correlated else scale
    means = generator.normal(size=(NUM, SIZE))
    tril = np.asarray(kind.tril(jnp.asarray(scale), jnp.asarray(means)))
    rows = generator.normal(size=(ROWS, SIZE))
    return jnp.asarray(scale), jnp.asarray(means), jnp.asarray(rows), tril @ tril.mT


def distances(means, rows, dense) -> np.ndarray:
    """Squared Mahalanobis distances, (N, K)."""
    away = np.asarray(rows)[:, None] - np.asarray(means)
    return np.einsum("nkd,kde,nke->nk", away, np.linalg.inv(dense), away)


@over_kinds
def test_diagonals_and_volumes_are_those_of_the_matrices(kind):
    scale, means, _, dense = drawn(kind)
    inverse = np.linalg.inv(dense)
    np.testing.assert_allclose(kind.variances(scale, means), dense.diagonal(0, 1, 2), rtol=1e-12)
    np.testing.assert_allclose(kind.precisions(scale, means), inverse.diagonal(0, 1, 2), rtol=1e-12)
    np.testing.assert_allclose(
        kind.log_volume(scale, means), -0.5 * np.linalg.slogdet(dense)[1], rtol=1e-12
    )


@over_kinds
def test_what_the_columns_before_do_not_explain_is_left(kind):
    scale, means, _, dense = drawn(kind)
    left = np.ones((NUM, SIZE))
    for d in range(1, SIZE):
        cross = dense[:, :d, d]
        told = np.linalg.solve(dense[:, :d, :d], cross[..., None])[..., 0]
        left[:, d] = 1 - np.sum(cross * told, axis=1) / dense[:, d, d]
    np.testing.assert_allclose(kind.pivots(scale, means), left, rtol=1e-12)


@over_kinds
def test_both_routes_give_the_distance(kind):
    scale, means, rows, dense = drawn(kind)
    expected = distances(means, rows, dense)
    whitened = kind.whitened(kind.inverse(scale), rows[:, None] - means)
    np.testing.assert_allclose(jnp.sum(whitened**2, axis=2), expected, rtol=1e-12)
    product = kind.kernel(kind.coefficients(scale, means), kind.features(rows))
    np.testing.assert_allclose(product, -0.5 * expected, rtol=1e-11)
