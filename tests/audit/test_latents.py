"""Active dimensions, their KL and collapse, of linear encoders in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import ConjugateGaussian, LinearGaussian, LinearGuide, NormalGuide

from taut.architectures import Discrete
from taut.audit import latent_use
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, Pair, StratifiedProposal
from taut.data import Schema

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


class TwoClasses(AbstractModel):
    """p(y, z) of two classes and a Gaussian, whose rows tell nothing."""

    def terms(self, datum, z):
        log_prior = dist.Normal(0.0, 4.0).log_prob(z[1]).sum() - jnp.log(2.0)
        return {LOG_LIKELIHOOD: jnp.zeros(()), LOG_PRIOR: log_prior}

    def prior(self):
        raise NotImplementedError

    def mean(self, z):
        return z[1]


class ClassGuide(eqx.Module):
    """q(y = 1 | x) = 0.5 + 0.06 x, and N(4 y, 1) within the classes."""

    def __call__(self, datum):
        share = 0.5 + 0.06 * datum.x
        loc = jnp.array([[0.0], [4.0]])
        return StratifiedProposal(jnp.log(jnp.stack([1 - share, share])), loc, jnp.ones((2, 1)))


def test_a_class_that_is_enumerated_has_no_noise_of_draws(float64):
    """q(y) is known without a draw, and z varies within classes alone: little is taken for noise.

    E[z | x] = 4 q(y = 1 | x) moves by 16 * 0.06^2, of a variance of 1 + 16 * 0.5^2. Its mean over 64
    draws within each class has a variance of half a 64th; the difference that this makes to a variance
    over 400 rows has a standard error of 2 sqrt(0.0576 * 0.0078 / 400).
    """
    rows = Datum(np.tile([-1.0, 1.0], 200))
    found = latent_use(Pair(TwoClasses(), ClassGuide()), rows, key=jax.random.key(0))
    np.testing.assert_allclose(found.moved[0], 0.06**2 / 0.25, rtol=1e-9)
    error = 2 * np.sqrt(0.0576 * 0.0078 / 400) / 5
    assert abs(found.moved[1] - 0.0576 / 5) < 5 * error
    assert found.num_active == len(found.moved) == 2
    assert found.size == 3


@pytest.mark.parametrize(
    ("latents", "variables", "size"),
    [("categorical:2x3", 2, 6), ("categorical:2x3,1x4", 2, 6), ("bernoulli:3", 3, 3)],
)
def test_a_latent_of_categories_is_one_dimension(float64, latents, variables, size):
    """The shares of its outcomes' probabilities that rows move, weighed by their variances."""
    schema, x = Schema("bits", "table", (4,), "binary"), (X[:, [0, 1, 2, 0]] > 0).astype(float)
    pair = Discrete(latents=latents, hidden=(5,)).init(schema, jax.random.key(0))
    found = latent_use(pair, Datum(x), key=jax.random.key(1))
    assert (len(found.moved), found.size) == (variables, size)
    guide = getattr(pair.bind()[1], "first", pair.bind()[1])
    p = np.asarray(jax.vmap(lambda row: guide(Datum(row)).mean())(jnp.asarray(x)))
    p = p.reshape(len(x), variables, -1)
    of_rows, whole = p.var(axis=0).sum(axis=1), (p.mean(axis=0) * (1 - p.mean(axis=0))).sum(axis=1)
    # The mean of a row over 64 draws has a variance of a 64th; over rows, five errors of their mean.
    error = 5 * np.sqrt(2 / len(x)) / 64 + 10 * np.sqrt(of_rows / 64 / len(x))
    assert np.all(np.abs(found.moved - of_rows / whole) < error / whole)


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
