"""Cells that are left out are not missing: what a model says of missing cells is of others alone."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import bernoulli, norm

import taut
from taut.core import Pair
from taut.data import load_rows
from taut.fitted.conditional import Conditional, hidden, joint_evidences
from taut.fitted.facts import FitFacts, RowCounts
from taut.fitted.predicting import prediction_scores
from taut.guides import PriorGuide

OFFSET, SLOPE = np.array([-0.4, 2.0, 0.5]), np.array([1.5, -4.0, 3.0])
WEIGHT, BIAS = np.array([0.8, -2.0, 1.1]), np.array([0.3, -0.4, 0.2])
RNG = np.random.default_rng(0)
FACTS = FitFacts(RowCounts(72, 9, 9), 1, 1, 1.0, 1.0, "CPU")


class Line(eqx.Module):
    weight: jax.Array
    bias: jax.Array

    def __call__(self, z):
        return self.weight * z[0] + self.bias


def table(x):
    return pl.DataFrame(dict(zip(("a", "b", "y"), x.T, strict=True)), nan_to_null=True)


def hiding(pair, masking):
    return eqx.tree_at(lambda p: p.model.masking, pair, masking, is_leaf=lambda leaf: leaf is None)


@pytest.fixture(scope="module", params=["numbers", "bits"])
def fit(request) -> Any:
    """Three cells about one latent, each of which hides by its own value."""
    x = RNG.normal(size=(90, 1)) + RNG.normal(size=(90, 3))
    x = x if request.param == "numbers" else (x > 0).astype(float)
    x[:30, 1] = np.nan
    schema = taut.load_data(table(x), target="y", target_as="column").schema
    architecture = taut.VAE(latent_dim=1, hidden=(4,), missingness="self-masking")
    with jax.enable_x64(True):
        made: Any = architecture.init(schema, jax.random.key(0))
        masking = replace(made.model.masking, offset=jnp.asarray(OFFSET), slope=jnp.asarray(SLOPE))
        line = Line(jnp.asarray(WEIGHT), jnp.asarray(BIAS))
        pair = hiding(eqx.tree_at(lambda p: p.model.decoder, made, line), masking)
    return taut.Fit(
        pair,
        architecture,
        schema,
        FACTS,
        precision="float64",
        predictor=Conditional(np.asarray(1.0)),
    )


def rows_of(fit, x):
    return load_rows(table(x), fit.schema)


def test_a_target_given_whole_rows_is_predicted_as_where_nothing_hides(fit):
    at_random = replace(fit, pair=hiding(fit.pair, None))
    rows = rows_of(fit, np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    found, wanted = (one.predict(rows, num_particles=50) for one in (fit, at_random))
    for own, plain in zip(found, wanted, strict=True):
        if isinstance(own, np.ndarray) and own.dtype.kind == "f":
            np.testing.assert_allclose(own, plain, rtol=1e-9)
    scores = [
        prediction_scores(one, rows, own, num_particles=50)
        for one, own in ((fit, found), (at_random, wanted))
    ]
    for name in scores[1]:
        assert scores[0][name].value == pytest.approx(scores[1][name].value, rel=1e-9)


def test_other_cells_that_are_missing_still_count(fit):
    """p(y | x_a, b is missing) by sums over a grid of z, and of b."""
    model, grid = fit.model, np.linspace(-8, 8, 401)
    x, outputs = np.array([1.0, np.nan, 1.0]), WEIGHT * grid[:, None] + BIAS
    if model.units is None:
        values, u, width, step, deviation = np.array([0.0, 1.0]), x, 1.0, 1.0, None
    else:
        values, width = np.linspace(-15, 15, 3001), float(model.units.scale[2])
        u = (x - np.asarray(model.units.shift)) / np.asarray(model.units.scale)
        step = values[1] - values[0]
        with jax.enable_x64(True):
            deviation = np.asarray(model.likelihood.scale(jnp.zeros((0, 3))))

    def density(v):
        if deviation is None:
            return bernoulli.pmf(v, expit(outputs))
        return norm.pdf(v, outputs, deviation)

    missing = sum(density(v)[:, 1] * expit(OFFSET[1] + SLOPE[1] * v) * step for v in values)

    def nll(of_mask):
        known = norm.pdf(grid) * density(u[0])[:, 0] * of_mask
        return np.log(known.sum() * width) - np.log((known * density(u[2])[:, 2]).sum())

    pair = Pair(model, PriorGuide(model))
    known, found = hidden(rows_of(fit, x[None]).datum(), 2), []
    for key in jax.random.split(jax.random.key(0), 8):
        with jax.enable_x64(True):
            both, alone = joint_evidences(
                pair, known, np.array([x[2], np.nan]), 2, num_particles=1000, key=key
            )[0]
        found.append(float(alone - both))
    error = np.std(found, ddof=1) / np.sqrt(8)
    assert abs(np.mean(found) - nll(missing)) < 5 * error
    assert abs(np.mean(found) - nll(1.0)) > 5 * error


def test_rows_drawn_given_some_cells_are_those_of_a_model_where_nothing_hides(fit):
    at_random = replace(fit, pair=hiding(fit.pair, None))
    asked: Any = {"given": {"a": 1.0}, "num_particles": 200, "key": 3}
    np.testing.assert_array_equal(fit.sample(20, **asked), at_random.sample(20, **asked))
