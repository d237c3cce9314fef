"""Answers about counts that are given the totals of their rows have the total of the row asked about."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.core import Datum
from taut.counterfactuals import GEOMETRIES, diagnose, search

_RNG = np.random.default_rng(0)
TOTALS = np.repeat([40, 400, 4000], 70)
X = _RNG.multinomial(TOTALS, _RNG.dirichlet([2.0] * 6, 210))
FRAME = pl.DataFrame(dict(zip("abcdef", X.T, strict=True)))
ROWS = X[[0, 75, 150]].astype(np.float32)


@pytest.fixture(scope="module", params=["poisson", "zero-inflated-poisson"])
def fit(request) -> Any:
    return taut.fit(
        FRAME, latent_dim=2, hidden=(8,), epochs=30, evidence_particles=10, columns="alike",
        likelihood=request.param, library=True,
    )  # fmt: skip


def by_share(x):
    """How much larger the first cell's share is than the others, which no total changes."""
    share = x / jnp.maximum(jnp.sum(x), 1e-6)
    return jnp.array([0.0, 8.0]) * (share[0] - 0.25)


def asked(fit, **options):
    return search(
        fit, ROWS, classifier=by_share, target=1, confidence=0.55, most_unexplained=10.0, **options
    )  # fmt: skip


def are_decoded(fit, found):
    """Whether answers are whole numbers next to what their codes are decoded to."""
    like = jax.vmap(lambda x, z: fit.model.mean_like(Datum(x), z))
    np.testing.assert_allclose(found.answers[:, 0], like(ROWS, found.z[:, 0]), atol=0.501)


@pytest.mark.parametrize("floor", [False, True])
def test_answers_and_reconstructions_have_the_total_of_their_row(fit, floor):
    found = asked(fit, **({"plausible": X.astype(np.float32), "quantile": 0.0} if floor else {}))
    assert (found.z[:, 0] != found.z0).any()
    np.testing.assert_allclose(found.reconstruction, fit.reconstruct(ROWS), rtol=1e-4)
    are_decoded(fit, found)
    if fit.model.likelihood.name == "poisson":  # whose cells are rounded, and no more
        np.testing.assert_allclose(found.answers[:, 0].sum(axis=1), ROWS.sum(axis=1), atol=3.01)


@pytest.mark.parametrize("geometry", [name for name in GEOMETRIES if name != "x-space"])
def test_every_geometry_moves_along_the_map_of_the_row(fit, geometry):
    are_decoded(fit, asked(fit, geometry=geometry))


def test_ways_are_walked_at_the_total_of_the_row(fit):
    """The spectrum at a row's code is that of the map of rows of its total."""
    found = asked(fit)
    for way in diagnose(found, rows=3):
        row, z0 = found.x[way.row], found.z0[way.row]
        np.testing.assert_allclose(way.x[0], found.reconstruction[way.row], rtol=1e-3)
        jacobian = jax.jacobian(lambda z, row=row: fit.model.mean_like(Datum(row), z))(z0)
        values = np.linalg.svd(jacobian, compute_uv=False)
        np.testing.assert_allclose(way.singular_values, values, rtol=1e-3)
