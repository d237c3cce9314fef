"""Sums over components in each dimension, and when they are made."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from known_models import LinearGaussian, LinearGuide
from scipy.special import logsumexp
from scipy.stats import norm

from taut.audit import surgery
from taut.audit.among_rows import among_rows
from taut.audit.drawn_latents import drawn_latents
from taut.core import Datum, Pair


def test_sums_in_each_dimension_hold_where_scales_and_places_are_far_apart():
    """Scales from a thousandth to ten and rows thirty apart, in float32."""
    rng = np.random.default_rng(0)
    means = np.concatenate([rng.normal(size=(20, 2)), 30 + rng.normal(size=(17, 2))])
    rows = np.column_stack([means, rng.uniform(-7, 2, size=(37, 2))]).astype(np.float32)
    datum = Datum(rows, index=np.arange(37))

    def guide(d):
        return dist.Normal(d.x[:2], jnp.exp(d.x[2:])).to_event(1)

    model = LinearGaussian(np.ones((4, 2), np.float32), 1.0)
    drawn = drawn_latents(model, guide, datum, key=jax.random.key(0), num_draws=3)
    found = among_rows(guide, drawn, datum, own=True, marginals_at=datum)
    exact = rows.astype(np.float64)
    z = np.asarray(drawn.z, np.float64)[:, :, None]
    each = norm.logpdf(z, exact[:, :2], np.exp(exact[:, 2:]))
    wanted = np.asarray(logsumexp(each, axis=2))
    # What float32 rounds: the square, the log of a scale, of seven at most, and the sum of 37 densities.
    own = (np.asarray(drawn.z, np.float64) - exact[:, None, :2]) / np.exp(exact[:, None, 2:])
    assert found.log_sum_marginals is not None
    limit = float(np.finfo(np.float32).eps * (2 * np.max(own**2) + 8 * 7 + 37))
    np.testing.assert_allclose(found.log_sum_marginals, wanted, rtol=0, atol=limit)
    assert found.log_sum_marginals.shape == (37, 3, 2)


def test_of_some_components_alone_nothing_is_said_of_a_dimension(float64):
    pair = Pair(LinearGaussian(np.eye(2), 0.5), LinearGuide(np.eye(2), 0.5 * np.eye(2)))
    rows = Datum(np.random.default_rng(0).normal(size=(7, 2)))
    whole, part = (
        surgery(pair, rows, key=jax.random.key(0), num_draws=2, num_components=n) for n in (None, 6)
    )
    assert whole.among.log_sum_marginals is not None
    assert part.among.log_sum_marginals is None
    assert (part.total_correlation, part.dimension_kls) == (None, None)
