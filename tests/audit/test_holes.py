"""Holes of the prior, and the two-sample test that they are told by."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import LinearGaussian, LinearGuide
from scipy.stats import binom, norm

from taut.audit import holes, two_sample
from taut.core import Datum, Pair

RNG = np.random.default_rng(1)
GUIDE = LinearGuide(np.eye(2), np.array([0.5, 0.5]))
SPREAD = np.sqrt(1 - 0.5**2)  # of x, for which q_agg of endless rows is N(0, I)


def searched(model, train, held_out):
    return holes(
        Pair(model, GUIDE),
        Datum(train),
        Datum(held_out),
        key=jax.random.key(0),
        num_samples=500,
        num_draws=4,
    )


def test_a_prior_that_is_the_aggregated_posterior_has_one_hole_in_a_hundred(float64):
    train, held_out = (SPREAD * RNG.normal(size=(n, 2)) for n in (100, 200))

    class Fitted(LinearGaussian):
        def prior(self):
            mixed = dist.Categorical(jnp.full(100, 1 / 100))
            return dist.MixtureSameFamily(mixed, dist.Normal(train, 0.5).to_event(1))

        def kl(self, datum, q, z):
            return None

    found = searched(Fitted(np.eye(2), 0.5), train, held_out)
    assert abs(found.share.value - 0.01) < 3 * found.share.mc_error
    assert not found.many
    assert not found.two_sample.differ
    np.testing.assert_allclose(found.gain.value, 0.0, atol=1e-10)


def test_rows_of_a_sorted_file_are_tested_all_over_it(float64):
    """The first 500 of 900 rows that are sorted by a column are of its lower end."""
    train, held_out = (SPREAD * RNG.normal(size=(n, 2)) for n in (100, 900))
    found = searched(LinearGaussian(np.eye(2), 0.5), train, held_out[held_out[:, 0].argsort()])
    assert not found.two_sample.differ


def test_a_prior_wider_than_the_posteriors_has_holes_where_they_are_not(float64):
    """N(0, 9 I) for N(0, I): the share beyond the radius that holds 99 % of the latter."""
    train, held_out = (SPREAD * RNG.normal(size=(n, 2)) for n in (500, 300))

    class Wide(LinearGaussian):
        def prior(self):
            return dist.Normal(0.0, 3.0).expand([2]).to_event(1)

    found = searched(Wide(np.eye(2), 0.5), train, held_out)
    radius = -2 * np.log(0.01)
    np.testing.assert_allclose(found.share.value, np.exp(-radius / 18), atol=0.06)
    assert found.many
    assert found.two_sample.differ
    assert found.means is not None
    assert found.means.shape == (8, 2)
    # What q_agg gains is the divergence of N(0, I) from the prior, less what a finite sample costs.
    divergence = np.log(9) + 1 / 9 - 1
    assert abs(found.gain.value - divergence) < 0.15


def test_the_energy_distance_rejects_at_its_level_and_sees_a_shift():
    x = RNG.normal(size=(60, 40, 2))
    p_values = [
        two_sample(a, b, RNG, num_dealings=99).p_value for a, b in zip(x[::2], x[1::2], strict=True)
    ]
    assert np.mean(np.array(p_values) < 0.5) > 0.2
    assert np.mean(np.array(p_values) < 0.05) < 0.2
    shifted = two_sample(x[0], x[1] + 1.0, RNG)
    assert shifted.differ
    # Of two normals a distance d apart, in one dimension, in closed form.
    far = two_sample(RNG.normal(size=(800, 1)), RNG.normal(size=(800, 1)) + 2.0, RNG)
    scale = np.sqrt(2.0)  # pooled: 1 + 1
    apart = 2 * (2 * norm.pdf(2 / scale) * scale + 2 * (2 * norm.cdf(2 / scale) - 1))
    assert abs(far.distance - (apart - 4 / np.sqrt(np.pi)) / scale) < 0.15


@pytest.mark.parametrize("num_draws", [2, 16])
def test_draws_of_a_row_tell_no_more_of_the_level_than_the_row(num_draws, float64):
    """The error of a share of prior draws below a quantile: those of two binomial shares."""
    train, held_out = (SPREAD * RNG.normal(size=(n, 2)) for n in (60, 80))
    found = holes(
        Pair(LinearGaussian(np.eye(2), 0.5), GUIDE), Datum(train), Datum(held_out),
        key=jax.random.key(0), num_samples=300, num_draws=num_draws,
    )  # fmt: skip
    own, level = binom.var(300, found.share.value) / 300**2, binom.var(80, 0.01) / 80**2
    np.testing.assert_allclose(found.share.mc_error, np.sqrt(own + level), rtol=1e-12)
