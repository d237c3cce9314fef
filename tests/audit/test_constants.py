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
    ],
    ids=["normal", "bernoulli", "units"],
)
def test_a_sound_model_has_none(model, float64):
    found: Any = density_excess(model, LIKE, key=KEY)
    assert abs(found.value) < 5 * found.mc_error < 2
    assert not list(_unsound(found))


def test_where_no_entropy_is_known_nothing_is_said(float64):
    counts = decoded(lambda m: dist.Poisson(jnp.exp(m)), discrete=True)
    assert density_excess(counts, LIKE, key=KEY) is None
    improper = DecodedModel(
        FixedPrior(dist.ImproperUniform(dist.constraints.real_vector, (), (2,))),
        lambda z: dist.Normal(LOADINGS @ z, 1.0), discrete=False,
    )  # fmt: skip
    assert density_excess(improper, LIKE, key=KEY) is None
    assert not list(_unsound(None))
