"""A part of the posterior that the guide misses is seen by draws of the prior, where these reach it.

The posterior is a mixture of two Gaussians, log p(x) = 0; a guide on one of them finds log 1/2 with even
weights, and nothing among its own draws says so.
"""

import math
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, InputError, Pair
from taut.evidence import (
    Importance,
    QuasiMonteCarlo,
    agreement,
    beside_the_prior,
    doubted,
    missed,
    summarize,
)

ROWS = Datum(jnp.zeros(8), index=np.arange(8))
KEY = jax.random.key(0)


class TwoModes(AbstractModel):
    """(N(-2, I) + N(2, I)) / 2 as p(x, z), in so many dimensions, beside a prior N(0, 4 I)."""

    size: int = eqx.field(static=True, default=4)

    def terms(self, datum, z):
        ends = [jnp.sum(dist.Normal(m, 1.0).log_prob(z)) for m in (-2.0, 2.0)]
        prior = self.prior().log_prob(z)
        both = jnp.logaddexp(*ends) - math.log(2.0)
        return {LOG_LIKELIHOOD: both - prior, LOG_PRIOR: prior}

    def prior(self):
        return dist.Normal(jnp.zeros(self.size), jnp.full(self.size, 2.0)).to_event(1)


def pair(*, loc=2.0, scale=1.1, size=4):
    def guide(datum):
        return dist.Normal(jnp.full(size, loc), jnp.full(size, scale)).to_event(1)

    return Pair(TwoModes(size), guide)


@pytest.mark.parametrize("method", [Importance(500), QuasiMonteCarlo(512)])
def test_a_mode_that_is_missed_is_seen(method):
    found = method(pair(), ROWS, key=KEY)
    assert found.log_evidence.value == pytest.approx(-math.log(2), abs=0.05)
    assert not found.log_evidence.flags
    told = beside_the_prior(found, pair(), ROWS, key=KEY)
    assert told.missed is not None
    assert told.missed.all()
    assert told.share_unreliable == 1.0
    assert not told.above_threshold.any()
    assert "unreliable" in told.log_evidence.flags
    assert math.isnan(told.log_evidence.mc_error)
    assert told.log_evidence.value == found.log_evidence.value
    assert told.notes[0].startswith("draws of the prior find more on 8 of 8 rows, by 0.")


def test_a_second_doubt_keeps_the_rows_of_the_first():
    found: Any = Importance(500)(pair(), ROWS, key=KEY)
    first = np.arange(8) == 2
    higher = replace(
        found.log_evidence, values=found.log_evidence.values + 9.0 * (np.arange(8) > 5)
    )
    told = doubted(
        replace(found, missed=first), replace(found, log_evidence=higher), where="others"
    )
    assert told.missed is not None
    assert np.flatnonzero(told.missed).tolist() == [2, 6, 7]


def test_a_guide_that_covers_both_is_left_as_it_is():
    found = Importance(2000)(pair(loc=0.0, scale=2.5), ROWS, key=KEY)
    assert beside_the_prior(found, pair(loc=0.0, scale=2.5), ROWS, key=KEY) is found


@pytest.mark.parametrize("done", ["out of reach", "flagged", "exact"])
def test_the_prior_is_not_drawn_from_in_vain(done, monkeypatch):
    found: Any = Importance(500)(pair(), ROWS, key=KEY)
    evidence = found.log_evidence
    if done == "flagged":
        found = replace(found, log_evidence=replace(evidence, flags=frozenset({"unreliable"})))
    elif done == "exact":
        found = replace(found, log_evidence=replace(evidence, side="exact"))
    else:  # 3 nats a dimension pair are 12 in sixteen
        found = Importance(500)(pair(size=16), ROWS, key=KEY)
        assert found.kl.value > math.log(agreement._DRAWS)
    monkeypatch.setattr(agreement, "naive_monte_carlo", lambda *_, **__: pytest.fail("drawn"))
    assert beside_the_prior(found, pair(), ROWS, key=KEY) is found


def test_a_model_without_a_prior_is_left_as_it_is(monkeypatch):
    def refuse(self):
        raise InputError("a model that can draw from its prior", "none", "importance")

    found = Importance(500)(pair(), ROWS, key=KEY)
    monkeypatch.setattr(TwoModes, "prior", refuse)
    assert beside_the_prior(found, pair(), ROWS, key=KEY) is found


def test_a_fit_that_is_asked_for_its_evidence_says_so(monkeypatch):
    """`Fit.evaluate` of any method but the one from the prior."""
    import taut

    seen = []
    x = np.random.default_rng(0).normal(size=(40, 3))
    fit: Any = taut.fit(x, model="vae", latent_dim=1, epochs=1)
    monkeypatch.setattr(
        "taut.fitted.methods.beside_the_prior", lambda found, *_, **__: seen.append(1) or found
    )
    fit.evidence(x[:4], num_particles=50)
    assert seen == [1]
    fit.evidence(x[:4], num_particles=50, method="monte-carlo")
    assert seen == [1]


@pytest.mark.parametrize("variance", [0.5, 4.0, 16.0, 64.0])
def test_heavy_weights_that_are_high_by_chance_accuse_nobody(variance):
    """Log-normal weights of mean 1, against estimates that are right."""
    rows = 4000
    noise = np.random.default_rng(int(variance)).standard_normal((rows, 500))
    found = summarize(math.sqrt(variance) * noise - variance / 2)
    told = missed(np.zeros(rows), np.full(rows, 0.01), found.log_evidence, found.error)
    # One in 250, and five standard deviations of their number.
    assert told.sum() <= 16 + 5 * 4
    assert (found.log_evidence > 0.1).sum() > told.sum()  # of more rows the error has to tell


@pytest.mark.parametrize(
    ("gain", "rows", "share"), [(0.35, 50, 0.9), (0.35, 1, 0.0), (0.0, 50, 0.0)]
)
def test_rows_that_are_each_within_their_errors_tell_together(gain, rows, share):
    other = gain + 0.13 * np.random.default_rng(0).standard_normal(rows)
    told = missed(np.zeros(rows), np.full(rows, 0.01), other, np.full(rows, 0.13))
    assert told.mean() >= share
    assert told.any() == bool(share)


@pytest.mark.parametrize("share", [1e-5, 1e-4, 1e-3])
def test_a_lucky_hit_of_the_prior_is_no_missed_part(share):
    """One value of a discrete latent explains the row; the prior draws it with this probability. Its
    estimate has the error 1 where it hit once, though it is then 1 / (1000 share) times too large."""
    hits = np.random.default_rng(3).binomial(1000, share, size=40_000)
    with np.errstate(divide="ignore"):
        other, error = np.log(hits / (1000 * share)), np.minimum(1 / np.sqrt(hits), 1.0)
    zeros = np.zeros(len(hits))
    assert hits.any()
    assert missed(zeros, zeros, other, error).mean() < 1 / 200
