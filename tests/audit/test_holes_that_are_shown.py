"""The draws of the prior that are shown are those that no posterior comes near, the farthest first."""

import jax
import numpy as np
import numpyro.distributions as dist
import scipy.special
import scipy.stats
from known_models import LinearGaussian, LinearGuide

from taut.audit import holes
from taut.core import Datum, Pair

RNG = np.random.default_rng(1)
TRAIN, HELD_OUT = RNG.normal(size=(60, 2)), RNG.normal(size=(40, 2))


class Wide(LinearGaussian):
    def prior(self):
        return dist.Normal(0.0, 3.0).expand([2]).to_event(1)


def test_the_deepest_holes_are_shown_with_their_own_densities(float64):
    """z is the mean of x, whose posteriors are N(x, I / 4)."""
    pair = Pair(Wide(np.eye(2), 0.5), LinearGuide(np.eye(2), np.array([0.5, 0.5])))
    found = holes(pair, Datum(TRAIN), Datum(HELD_OUT), key=jax.random.key(0), num_samples=300)
    assert found.means is not None
    own = scipy.stats.norm.logpdf(found.means[:, None], TRAIN, 0.5).sum(axis=2)
    np.testing.assert_allclose(
        found.log_q_agg, scipy.special.logsumexp(own, axis=1) - np.log(60), rtol=1e-9
    )
    assert (np.diff(found.log_q_agg) > 0).all()
    assert found.log_q_agg.max() < found.threshold
