"""Rows that the tests of exact models share: one size, so that compiled programs are shared as well."""

import numpy as np
import pytest

ROWS, COLUMNS, COMPONENTS = 90, 3, 2


@pytest.fixture(scope="session")
def clusters() -> np.ndarray:
    """Two correlated clusters far from the origin, (90, 3)."""
    generator = np.random.default_rng(7)
    factors = generator.normal(size=(2, 3, 3))
    centers = np.array([[20.0, -5.0, 3.0], [22.0, -4.0, 1.0]])
    noise = generator.normal(size=(2, 45, 3))
    return np.concatenate([c + n @ f.T for c, n, f in zip(centers, noise, factors, strict=True)])


@pytest.fixture(scope="session")
def factors() -> np.ndarray:
    """Two factors in six columns of unequal noise, (200, 6)."""
    generator = np.random.default_rng(3)
    z, loadings = generator.normal(size=(200, 2)), generator.normal(size=(2, 6))
    noise = generator.normal(size=(200, 6)) * np.linspace(0.4, 1.2, 6)
    return z @ loadings + noise + np.arange(6.0)


@pytest.fixture(scope="session")
def answers() -> np.ndarray:
    """Two classes of answers to four yes-or-no questions, (90, 4)."""
    generator = np.random.default_rng(5)
    p = np.where(generator.random((90, 1)) < 0.4, [0.9, 0.8, 0.2, 0.7], [0.2, 0.1, 0.6, 0.3])
    return (generator.random((90, 4)) < p).astype(float)
