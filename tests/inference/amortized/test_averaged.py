"""The moving average of the parameters is the weighted sum that its formula gives."""

from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import Datum
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.averaged import averaged

PATH = np.random.default_rng(0).normal(
    size=12
)  # the parameter before the first step and after each

NO_ROWS = Datum(jnp.zeros((0, 1)))


class _At(NamedTuple):
    place: Any
    number: Any


def _along(path: np.ndarray) -> Algorithm:
    """An algorithm whose parameter goes along a path, whatever the batch."""
    places = jnp.asarray(path)

    def step(state: _At, _: Any) -> tuple[_At, dict[str, Any]]:
        return _At(places[state.number + 1], state.number + 1), {}

    return Algorithm(
        lambda: _At(places[0], jnp.zeros((), int)), step, lambda state: cast(Any, state.place)
    )


def _weights(decay: float, steps: int) -> np.ndarray:
    """Of each point of the path in the average: what is taken in, times what is kept of it later."""
    d = [min(decay, (1 + t) / (10 + t)) for t in range(steps)]
    taken = [1.0, *(1 - one for one in d)]
    return np.asarray([share * np.prod(d[i:]) for i, share in enumerate(taken)])


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_average_is_that_of_the_formula(decay, float64):
    algorithm = averaged(_along(PATH), decay)
    state = algorithm.init()
    for steps in range(1, len(PATH)):
        state, _ = algorithm.step(state, NO_ROWS)
        wanted = _weights(decay, steps) @ PATH[: steps + 1]
        # The ratio of two counts of steps is rounded to float32.
        rounding = steps * float(np.finfo(np.float32).eps * np.ptp(PATH))
        np.testing.assert_allclose(state.average, wanted, rtol=0, atol=rounding)


def test_the_start_is_forgotten_and_a_constant_decay_would_keep_it():
    assert abs(_weights(0.999, 11).sum() - 1) < 11 * np.finfo(float).eps
    assert _weights(0.999, 11)[0] < 1e-4 < 0.98 < 0.999**11
