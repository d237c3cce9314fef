"""Dreams of counts that are judged given the total of their row have the totals of rows of the data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.core import Datum
from taut.inference.amortized.wake_sleep_objectives import sleep
from taut.models import LatentVariableModel, StandardNormal, make_likelihood

CELLS, DREAMS = 20, 16
LOADINGS = jnp.linspace(-1.0, 1.0, CELLS)


@pytest.mark.parametrize("mask", [None, jnp.arange(CELLS) < 15], ids=["whole", "holes"])
@pytest.mark.parametrize("total", [0, 200, 20_000])
def test_a_dream_has_the_total_of_the_row_of_the_batch(total, mask):
    likelihood = make_likelihood("poisson", shape=(CELLS,), library=True, library_size=3.0)
    model = LatentVariableModel(StandardNormal(1), lambda z: z[0] * LOADINGS, likelihood, (CELLS,))
    seen = np.ones(CELLS, bool) if mask is None else np.asarray(mask)
    row = np.where(seen, total / seen.sum(), np.nan).astype(np.float32)
    found: list[Any] = []

    def guide(datum: Datum) -> dist.Distribution:
        found.append(datum)
        return dist.Normal(jnp.zeros(1), 1.0).to_event(1)

    for number in range(DREAMS):
        sleep(model, guide, jax.random.key(number), Datum(jnp.asarray(row), mask))
    totals = np.array([np.where(seen, dream.x, 0).sum() for dream in found])
    # A sum of Poisson counts is Poisson: five standard deviations about its mean.
    assert abs(totals.mean() - total) <= 5 * np.sqrt(total / DREAMS)
    assert (abs(totals - total) <= 5 * np.sqrt(total)).all()
    assert all(dream.mask is mask for dream in found)
