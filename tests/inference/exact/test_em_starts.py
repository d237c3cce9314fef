"""Starts of mixtures, and what EM makes of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.inference.exact import Floor, RowBlocks, random_start, run_em
from taut.models import GaussianMixture

pytestmark = pytest.mark.usefixtures("float64")

NUMBER = 6


@pytest.fixture(scope="module")
def groups() -> tuple[np.ndarray, np.ndarray]:
    """Rows about six centers that lie apart, and the center of each."""
    generator = np.random.default_rng(1)
    centers = 4.0 * generator.normal(size=(NUMBER, 3))
    owner = generator.integers(0, NUMBER, 300)
    return centers[owner] + generator.normal(size=(300, 3)), owner


def test_clusters_that_lie_apart_are_found_by_every_start(groups):
    """A start that merges two of them would climb slowly, or end beneath: one M-step is nearly all."""
    x, owner = groups
    rows = RowBlocks(x)
    skeleton = GaussianMixture(
        jnp.zeros(NUMBER), jnp.zeros((NUMBER, 3)), jnp.ones((NUMBER, 3)), "diag"
    )
    floor = Floor(None).of(skeleton, rows)
    own = np.stack([x[owner == k].mean(axis=0) for k in range(NUMBER)])
    for seed in range(3):
        start = random_start(skeleton, rows, rows.spread(), seed=seed)
        result = run_em(start, rows, floor, tolerance=1e-4)
        assert isinstance(result.model, GaussianMixture)
        assert result.converged
        assert len(result.log_evidence) < 15
        means = np.asarray(result.model.means)
        nearest = np.abs(own[:, None] - means).max(axis=2).min(axis=1)
        assert nearest.max() < 0.3
