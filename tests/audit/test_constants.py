"""A density that lacks a constant is seen by the entropy of what rows are drawn from."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.audit import density_excess
from taut.audit.findings import _unsound
from taut.core import Datum
from taut.distributions import DiscretizedLogistic
from taut.distributions.entropy import entropy_of
from taut.models import (
    DecodedModel,
    FixedPrior,
    LatentVariableModel,
    StandardNormal,
    Units,
    make_likelihood,
)

CELLS = 7
LOADINGS = np.random.default_rng(0).normal(size=(CELLS, 2))
LIKE = Datum(jnp.zeros((3, CELLS)))
KEY = jax.random.key(1)


class WithoutFactorial(dist.Poisson):
    """x log(rate) - rate, as losses have it."""

    def log_prob(self, value, intermediates=None):
        return super().log_prob(value) + jax.scipy.special.gammaln(value + 1.0)


class WithoutConstant(dist.Normal):
    """A Gaussian that keeps the squared error and the scale alone."""

    def log_prob(self, value, intermediates=None):
        return super().log_prob(value) + 0.5 * math.log(2 * math.pi)


def decoded(family: Any, *, discrete: bool = False) -> DecodedModel:
    return DecodedModel(StandardNormal(2), lambda z: family(LOADINGS @ z), discrete=discrete)


def test_a_dropped_constant_is_found_in_nats_of_a_row(float64):
    found: Any = density_excess(decoded(lambda m: WithoutConstant(m, 0.3)), LIKE, key=KEY)
    assert abs(found.value - CELLS * 0.5 * math.log(2 * math.pi)) < 5 * found.mc_error < 2
    (finding,) = _unsound(found)
    assert finding.name == "constants"
    assert "+6." in finding.says


def units_model() -> LatentVariableModel:
    """In units of its own, whose volume is part of both."""
    units = Units(jnp.ones(CELLS), jnp.arange(1.0, CELLS + 1))
    gaussian = make_likelihood("gaussian", shape=(CELLS,))
    return LatentVariableModel(StandardNormal(2), lambda z: LOADINGS @ z, gaussian, (CELLS,), units)


@pytest.mark.parametrize(
    "model",
    [
        decoded(lambda m: dist.Normal(m, 0.3)),
        decoded(lambda m: dist.BernoulliLogits(m).to_event(1), discrete=True),
        units_model(),
        decoded(lambda m: dist.Poisson(jnp.exp(m + 1)).to_event(1), discrete=True),
        decoded(lambda m: dist.NegativeBinomial2(3e3 * jnp.exp(m), 1.5), discrete=True),
        decoded(lambda m: dist.ZeroInflatedPoisson(0.3, jnp.exp(m + 6)), discrete=True),
        decoded(lambda m: dist.BinomialLogits(m, 20), discrete=True),
        decoded(lambda m: DiscretizedLogistic(0.5 + 0.1 * m, -2.0, levels=17), discrete=False),
    ],
    ids=["normal", "bernoulli", "units", "counts", "wide", "zeros", "binomial", "grey"],
)
def test_a_sound_model_has_none(model, float64):
    found: Any = density_excess(model, LIKE, key=KEY)
    assert abs(found.value) < 5 * found.mc_error < 2
    assert not list(_unsound(found))


def test_a_dropped_factorial_is_found(float64):
    counts = decoded(lambda m: WithoutFactorial(jnp.exp(m + 1)), discrete=True)
    found: Any = density_excess(counts, LIKE, key=KEY)
    (finding,) = _unsound(found)
    assert finding.name == "constants"
    assert found.value > 5 * found.mc_error


@pytest.mark.parametrize("family", ["poisson", "negative-binomial", "zero-inflated-poisson"])
def test_rows_judged_given_their_own_totals_are_not_checked(family, float64):
    """log(T / L) for each count is what the law that draws rows of total L lacks, and no constant."""
    likelihood = make_likelihood(family, shape=(CELLS,), library=True, library_size=50.0)

    def decoder(z):
        return jnp.concatenate([LOADINGS @ z] * likelihood.num_outputs)

    model = LatentVariableModel(StandardNormal(2), decoder, likelihood, (CELLS,))
    assert density_excess(model, LIKE, key=KEY) is None


def test_counts_far_from_zero_have_the_entropy_of_a_gaussian(float64):
    """H = log(2 pi e rate) / 2 - 1 / (12 rate) + ..., whatever numbers are left out."""
    rate = 10.0 ** np.arange(3, 7)
    found = np.array([entropy_of(dist.Poisson(r), most=4 * 10**6) for r in rate])
    np.testing.assert_allclose(
        found, 0.5 * np.log(2 * np.pi * np.e * rate) - 1 / (12 * rate), rtol=0, atol=1e-4
    )


def test_where_no_entropy_is_known_nothing_is_said(float64):
    bent = decoded(lambda m: dist.Gumbel(m, 1.0), discrete=False)
    assert density_excess(bent, LIKE, key=KEY) is None
    improper = DecodedModel(
        FixedPrior(dist.ImproperUniform(dist.constraints.real_vector, (), (2,))),
        lambda z: dist.Normal(LOADINGS @ z, 1.0), discrete=False,
    )  # fmt: skip
    assert density_excess(improper, LIKE, key=KEY) is None
    assert not list(_unsound(None))


def test_no_row_is_drawn_where_the_entropy_is_not_known(monkeypatch):
    counts = make_likelihood("poisson", shape=(CELLS,), library=True)
    model = LatentVariableModel(
        StandardNormal(2), lambda z: jnp.asarray(LOADINGS) @ z, counts, (CELLS,)
    )
    drawn: list[Any] = []
    monkeypatch.setattr("taut.audit.constants.simulated", lambda *a, **_: drawn.append(a))
    assert density_excess(model, LIKE, key=KEY) is None
    assert not drawn
