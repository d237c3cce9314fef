"""Dreams of a model whose cells hide themselves have the holes that this model makes in them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.core import Datum
from taut.inference.amortized.wake_sleep_objectives import sleep
from taut.models import LatentVariableModel, SelfMasking, StandardNormal, Units
from taut.models.likelihoods import Gaussian

UNITS = Units(jnp.array([2.0, -1.0]), jnp.array([3.0, 0.5]))
ROW = jnp.array(
    [True, False]
)  # the mask of a row of the batch, which has nothing to do with a dream


def _dreams(masking: SelfMasking | None, units: Units | None, mask: Any) -> list[Datum]:
    model = LatentVariableModel(
        StandardNormal(1),
        lambda z: jnp.stack([z[0], z[0]]),
        Gaussian(shape=(2,)),
        (2,),
        units,
        masking,
    )
    found: list[Datum] = []

    def guide(datum: Datum) -> dist.Distribution:
        found.append(datum)
        return dist.Normal(jnp.zeros(1), 1.0).to_event(1)

    for number in range(20):
        sleep(model, guide, jax.random.key(number), Datum(jnp.zeros(2), mask))
    return found


@pytest.mark.parametrize("mask", [None, ROW], ids=["whole", "a row's"])
@pytest.mark.parametrize("units", [None, UNITS], ids=["numbers", "units"])
def test_a_dream_hides_what_the_model_hides(units, mask):
    """Cells so steep that they are seen just where they are negative, in the model's units."""
    steep = SelfMasking(jnp.zeros(2), jnp.full(2, 1e6))
    dreams = _dreams(steep, units, mask)
    seen = np.stack([np.asarray(dream.mask) for dream in dreams])
    u = np.stack([np.asarray(d.x if units is None else units.standardize(d.x)) for d in dreams])
    np.testing.assert_array_equal(seen, u < 0)
    assert 0 < seen.mean() < 1


@pytest.mark.parametrize("mask", [None, ROW], ids=["whole", "a row's"])
def test_a_model_that_does_not_say_leaves_the_mask(mask):
    assert all(dream.mask is mask for dream in _dreams(None, None, mask))
