"""Where networks start: of more cells than are looked at, every second, third, ... row tells it."""

import jax
import numpy as np
import pytest

from taut.architectures import starting
from taut.core import Datum
from taut.models.likelihoods import Gaussian, Poisson

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "likelihood", [Gaussian(shape=(4,)), Poisson()], ids=["gaussian", "poisson"]
)
@pytest.mark.parametrize("holes", [False, True])
def test_every_third_row_tells_where_to_start(likelihood, holes, monkeypatch):
    x = RNG.poisson(3.0, size=(31, 4)).astype(np.float32)
    mask = RNG.random(x.shape) < 0.8 if holes else None
    third = starting.start_of(likelihood, None, Datum(x[::3], None if mask is None else mask[::3]))
    whole = starting.start_of(likelihood, None, Datum(x, mask))
    monkeypatch.setattr(starting, "_MOST", 50)
    found = starting.start_of(likelihood, None, Datum(x, mask))
    assert jax.tree.all(jax.tree.map(np.array_equal, found, third))
    assert not jax.tree.all(jax.tree.map(np.array_equal, found, whole))
