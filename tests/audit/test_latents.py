"""Active dimensions, their KL and collapse, of linear encoders in closed form."""

import jax
import numpy as np
from known_models import ConjugateGaussian, LinearGaussian, LinearGuide, NormalGuide

from taut.audit import latent_use
from taut.core import Datum, Pair

X = np.random.default_rng(0).normal(size=(100, 3)) @ np.diag([2.0, 1.0, 0.5])
MODEL = LinearGaussian(np.eye(3), 0.5)
SCALE = np.array([0.4, 0.6, 1.0])


def used(weight):
    return latent_use(
        Pair(MODEL, LinearGuide(np.diag(weight), SCALE)), Datum(X), key=jax.random.key(0)
    )


def test_a_dimension_that_rows_do_not_move_is_not_active(float64):
    found = used([1.0, 1.0, 0.0])
    np.testing.assert_array_equal(found.active, [True, True, False])
    assert found.num_active == 2
    assert not found.collapsed
    variance = X.var(axis=0) * [1, 1, 0]
    np.testing.assert_allclose(found.moved, variance / (variance + SCALE**2), atol=0.1)


def test_the_kl_of_each_dimension_is_closed(float64):
    found = used([1.0, 1.0, 0.0])
    second = (X * [1, 1, 0]) ** 2 + SCALE**2
    truth = 0.5 * (second - 1 - np.log(SCALE**2)).mean(axis=0)
    np.testing.assert_allclose([k.value for k in found.kls], truth, atol=1e-10)
    assert all(k.side == "exact" for k in found.kls)
    np.testing.assert_allclose(found.kl.value, truth.sum())


def test_where_no_row_moves_a_mean_the_guide_has_collapsed(float64):
    found = used([0.0, 0.0, 0.0])
    assert found.num_active == 0
    assert found.collapsed


def test_units_of_a_latent_decide_nothing(float64):
    """z in a thousandth of its unit is as active as before."""
    small = NormalGuide(np.array(1e-3), np.array(0.0), np.log(1e-3))
    model = ConjugateGaussian(np.array(1.0), np.array(0.0), np.array(0.0))
    found = latent_use(Pair(model, small), Datum(X[:, 0]), key=jax.random.key(0))
    assert found.num_active == 1
