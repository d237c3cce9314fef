"""A phase transition: what no draw from outside finds, the latents that made a row do.

Nine tenths of p(z) are a spike in ten dimensions, one tenth a slab around it, and x says nothing of z.
Chains from the slab see nothing of the spike at any temperature: their weights are even, and log 1/10 is
missing from the evidence. Chains that go back from latents which made a row begin in the spike nine
times in ten, and the gap between the two ends widens the bracket of other rows.
"""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, Pair
from taut.evidence import (
    Annealed,
    Escalation,
    Importance,
    beside_the_prior,
    calibrated,
    sandwich,
    simulated,
    weigh_known,
)

SIZE = 10
MISSED = math.log(0.1)


class Spike(AbstractModel):
    """z ~ 0.9 N(1, 0.05^2 I) + 0.1 N(0, I), x ~ N(0, 1)."""

    def terms(self, datum, z):
        return {
            LOG_LIKELIHOOD: dist.Normal(0.0, 1.0).log_prob(datum.x),
            LOG_PRIOR: self.prior().log_prob(z),
        }

    def prior(self) -> Any:
        loc = jnp.stack([jnp.ones(SIZE), jnp.zeros(SIZE)])
        scale = jnp.array([0.05, 1.0])[:, None] * jnp.ones(SIZE)
        weights = dist.Categorical(probs=jnp.array([0.9, 0.1]))
        return dist.MixtureSameFamily(weights, dist.Normal(loc, scale).to_event(1))

    def sample(self, z, key):
        return jax.random.normal(key, ())


def slab(datum):
    return dist.Normal(jnp.zeros(SIZE), jnp.ones(SIZE)).to_event(1)


PAIR = Pair(Spike(), slab)


@cache
def made():
    like = Datum(jnp.zeros(1), index=np.arange(1))
    return simulated(PAIR.model, like, 48, key=jax.random.key(1))


@cache
def importance():
    return weigh_known(*PAIR.bind(), made(), key=jax.random.key(2), num_particles=500)


def annealing():
    options = Annealed(num_particles=40, temperatures=6)
    return sandwich(PAIR, made(), options, key=jax.random.key(2))


@pytest.mark.parametrize("way", [importance, annealing])
def test_the_bracket_is_as_wide_as_what_is_missed(way):
    ends = way()
    known = float(dist.Normal(0.0, 1.0).log_prob(made().rows.x).mean())
    # Nothing of the draws' own says so.
    assert not ends.log_evidence.flags
    assert ends.log_evidence.value == pytest.approx(known + MISSED, abs=0.05)
    # The truth is within the bracket, which says that the number is not to be relied on.
    upper: Any = calibrated(replace(ends, upper=None), ends).upper
    assert upper is not None
    assert upper.value > known
    assert upper.value - ends.log_evidence.value > -MISSED


def test_draws_of_the_prior_see_it_where_they_fall_into_it():
    found = replace(importance(), upper=None)
    assert beside_the_prior(found, PAIR, made().rows, key=jax.random.key(3)).share_unreliable == 1.0


def test_method_after_method_ends_with_the_truth_in_a_wide_bracket():
    rows = made().rows
    found = Escalation(0.1, math.inf)(
        [Importance(500)], rows, measured=lambda method, of: replace(importance(), upper=None),
        known=lambda method: importance(), num_simulated=48,
    )  # fmt: skip
    low, high = found.ends
    assert found.stopped == "methods"
    assert low < dist.Normal(0.0, 1.0).log_prob(rows.x).mean() < high
    assert found.width > -MISSED
