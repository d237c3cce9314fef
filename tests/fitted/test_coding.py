"""A fit's methods are functions of its pair; its model and guide are bound to what they share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Datum, InputError, as_proposal
from taut.fitted import Fit, coding
from taut.fitted.facts import FitFacts, RowCounts
from taut.models import AbstractExactModel

X = (np.random.default_rng(1).normal(size=(9, 3)) + np.array([0.0, 4.0, -2.0])).astype("float32")
# Float32 through three layers of at most four terms each, of sizes below 8.
CLOSE = {"rtol": 0, "atol": 3 * 4 * 8 * float(np.finfo(np.float32).eps)}


@pytest.fixture(scope="module")
def fit() -> Fit:
    """Parameters as they begin."""
    schema = taut.load_data(X).schema
    model, _ = taut.VAE(latent_dim=2, hidden=(4,)).resolved(schema)
    facts = FitFacts(RowCounts(7, 1, 1), 1, 1, 1.0, 1.0, "CPU")
    return Fit(model.init(schema, jax.random.key(0)), model, schema, facts)


def test_model_and_guide_are_those_of_the_pair(fit):
    z = as_proposal(fit.guide(Datum(jnp.asarray(X[2])))).center()
    np.testing.assert_allclose(fit.encode(X[2]), z, **CLOSE)
    np.testing.assert_allclose(fit.decode(z), fit.model.mean(z), **CLOSE)
    exact = taut.GMM(2).init(fit.schema, jax.random.key(0))
    own = Fit(exact, taut.GMM(2), fit.schema, fit.facts)
    assert isinstance(own.model, AbstractExactModel)
    posterior = own.guide(Datum(jnp.asarray(X[0])))
    np.testing.assert_allclose(own.encode(X[0]), as_proposal(posterior).center(), **CLOSE)


def test_functions_do_what_methods_do(fit):
    z = coding.encode(fit.pair, X)
    np.testing.assert_array_equal(fit.encode(X), z)
    np.testing.assert_array_equal(fit.decode(z), coding.decode(fit.pair, z))
    np.testing.assert_array_equal(fit.reconstruct(X), fit.decode(fit.encode(X)))
    np.testing.assert_array_equal(fit.reconstruct(X[1]), fit.decode(fit.encode(X[1])))
    drawn = coding.sample(fit.pair, jax.random.key(3), 5)
    np.testing.assert_array_equal(fit.sample(5, key=3), drawn)
    assert not np.array_equal(fit.sample(5, key=3, mean=True), drawn)


def test_a_line_begins_and_ends_at_the_rows_reconstructions(fit):
    line = fit.interpolate(X[0], X[5:6], num_steps=5)
    np.testing.assert_allclose(line[0], fit.reconstruct(X[0]), **CLOSE)
    np.testing.assert_allclose(line[-1], fit.reconstruct(X[5]), **CLOSE)
    middle = fit.decode((fit.encode(X[0]) + fit.encode(X[5])) / 2)
    np.testing.assert_allclose(line[2], middle, **CLOSE)
    with pytest.raises(
        InputError, match=r"^interpolate: expected one row at each end, got 1 and 9"
    ):
        fit.interpolate(X[0], X)
    with pytest.raises(InputError, match=r"^num_steps: expected at least two steps, got 1"):
        fit.interpolate(X[0], X[5], num_steps=1)
