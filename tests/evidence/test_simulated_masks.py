"""Rows of a model of which cells are missing come with its masks, whatever rows they are to be like."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import expit

import taut
from taut.audit import calibration, density_excess
from taut.core import Datum, total
from taut.evidence.simulated import simulated
from taut.models import LatentVariableModel, SelfMasking, StandardNormal, Units
from taut.models.likelihoods import Bernoulli, Gaussian

GRID = jnp.linspace(-6.0, 6.0, 301)
KEY = jax.random.key(0)
WITHOUT = Datum(np.zeros((2, 2)))
WITH = Datum(np.zeros((2, 2)), np.array([[True, True], [True, False]]))


def twice(z):
    return jnp.stack([z[0], z[0]])


def model_of(likelihood=None, *, offset=(-9.0, 0.0), slope=(0.0, 6.0), units=None):
    """Two cells about z, of which the second hides where it is large."""
    masking = SelfMasking(jnp.asarray(offset), jnp.asarray(slope))
    likelihood = Gaussian(shape=(2,)) if likelihood is None else likelihood
    return LatentVariableModel(StandardNormal(1), twice, likelihood, (2,), units, masking)


def joint_on_grid(model, datum):
    return jax.vmap(lambda z: total(model.terms(datum, z[None])))(GRID)


class OnGrid(eqx.Module):
    """The posterior by a grid."""

    model: LatentVariableModel

    def __call__(self, datum):
        parts = dist.Normal(GRID[:, None], jnp.full((len(GRID), 1), 0.04)).to_event(1)
        return dist.MixtureSameFamily(
            dist.Categorical(logits=joint_on_grid(self.model, datum)), parts
        )


@pytest.mark.parametrize("like", [WITHOUT, WITH])
@pytest.mark.parametrize("kind", ["numbers", "units", "bits"])
def test_masks_are_drawn_given_the_values(float64, kind, like):
    units = Units(jnp.array([2.0, -1.0]), jnp.array([3.0, 0.5])) if kind == "units" else None
    offset, slope = np.array([-0.4, 0.2]), np.array([1.5, -2.0])
    model = model_of(
        Bernoulli() if kind == "bits" else None, offset=offset, slope=slope, units=units
    )
    rows = simulated(model, like, 20_000, key=KEY).rows
    x = np.asarray(rows.x)
    u = x if units is None else (x - np.asarray(units.shift)) / np.asarray(units.scale)
    p = expit(-(offset + slope * u))
    over = np.asarray(rows.mask, float) - p
    for weight in (np.ones_like(u), u):
        error = np.sqrt((weight**2 * p * (1 - p)).sum(axis=0))
        assert (np.abs((weight * over).sum(axis=0)) < 4.5 * error).all()


def test_other_masks_are_those_of_the_rows(float64):
    model = eqx.tree_at(lambda m: m.masking, model_of(), None)
    assert simulated(model, WITHOUT, 5, key=KEY).rows.mask is None
    masks = np.asarray(simulated(model, WITH, 5, key=KEY).rows.mask)
    np.testing.assert_array_equal(masks, WITH.mask[np.arange(5) % 2])


@pytest.mark.parametrize("like", [WITHOUT, WITH])
def test_the_posterior_is_calibrated_where_cells_hide_themselves(float64, like):
    model = model_of()
    made = simulated(model, like, 400, key=KEY)
    assert calibration(model, OnGrid(model), made, key=jax.random.key(1), num_draws=50).passes


def test_the_constants_of_a_density_are_those_of_whole_rows(float64):
    found = density_excess(model_of(), WITH, key=KEY)
    assert abs(found.value) < 5 * found.mc_error


def test_a_fit_is_calibrated_on_rows_with_masks(monkeypatch):
    seen = []

    def noted(*arguments, **options):
        seen.append(simulated(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr("taut.api.calibrating.simulated", noted)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    x[rng.random(x.shape) < expit(2 * x)] = np.nan
    fit = taut.fit(
        x, model="vae", missingness="self-masking", latent_dim=1, hidden=(4,), epochs=2, seed=0
    )
    fit.calibrate(rows=60, draws=5)
    share = np.mean(~np.asarray(seen[0].rows.mask))
    assert 0.3 < share < 0.7
