"""Options of an inference by batches reach what is made of them."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.guides import RefinedPair
from taut.inference import PerDatum, SemiAmortized

ROWS = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
DATA = taut.load_data((ROWS[:15], ROWS[15:25], ROWS[25:]))
MODEL = taut.VAE(latent_dim=1, hidden=(2,))


@pytest.fixture(scope="module")
def fit() -> taut.Fit:
    inference = PerDatum(row_steps=1, unseen_row_steps=2, row_learning_rate=0.25)
    return taut.fit(DATA, model=MODEL, inference=inference, epochs=1, evidence_particles=2)


def test_no_number_of_given_rows_comes_from_the_rows_of_training(fit):
    """A table whose every entry is not a number leaves what is said of other rows as it is."""
    broken = eqx.tree_at(
        lambda pair: pair.guide.table,
        fit.pair,
        replace_fn=lambda table: jnp.full_like(table, jnp.nan),
    )
    other = replace(fit, pair=broken)
    rows = ROWS[25:]
    for said in (
        lambda f: f.encode(rows),
        lambda f: f.reconstruct(rows),
        lambda f: f.interpolate(rows[0], rows[1], num_steps=3),
        lambda f: f.evaluate(DATA.test, num_particles=3).elbo.values,
        lambda f: f.bound(DATA.test, taut.ELBO(), num_repeats=2).values,
    ):
        found = np.asarray(said(other))
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, np.asarray(said(fit)))


def test_refinement_clips_each_entry_of_the_gradient_and_then_steps():
    inference = SemiAmortized(
        refine_steps=3, refine_learning_rate=0.5, refine_clip=2.0, refine_through=False
    )
    pair = MODEL.init(DATA.schema, jax.random.key(0))
    made = inference.pair(pair, jnp.arange(15), jax.random.key(0))
    assert isinstance(made, RefinedPair)
    refinement = made.refinement
    assert (refinement.num_steps, refinement.through) == (3, False)
    gradient = jnp.asarray([100.0, -3.0, 0.25])
    update, _ = refinement.optimizer.update(gradient, refinement.optimizer.init(gradient))
    np.testing.assert_array_equal(np.asarray(update), [-1.0, 1.0, -0.125])
