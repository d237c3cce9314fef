"""The step that a warm-up counts is the inference's own: after W steps it moves by the bound itself.

At step t the objective has the KL weighed by (t + 1) / W. From one state, at steps on both sides of W,
an inference moves as with that weight held fixed; one that forgets to count moves as at its first step.
"""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from inference_problems import AMORTIZED, problem

from taut.bounds import ELBO
from taut.inference import AbstractAmortized

pytestmark = pytest.mark.usefixtures("float64")
W = 4
# Of those that maximise a bound by its gradient, all phases included.
CLIMBING = {n: i for n, i in AMORTIZED.items() if i.takes_gradient}


def _at(state: Any, step: int) -> Any:
    """A state that has taken so many steps."""

    def counted(path: Any, leaf: Any) -> Any:
        return (
            np.asarray(step, leaf.dtype) if jax.tree_util.keystr(path).endswith(".step") else leaf
        )

    return jax.tree_util.tree_map_with_path(counted, state)


def _moves(inference: AbstractAmortized, bound: Any, *steps: int) -> list[list[np.ndarray]]:
    """The parameters after one step from the start, taken for each of these steps."""
    made, rows = problem(inference, optax.sgd(0.1))
    algorithm = inference.algorithm(made._replace(bound=bound))
    step = jax.jit(algorithm.step)
    moved = [algorithm.pair(step(_at(algorithm.init(), number), rows)[0]) for number in steps]
    return [[np.asarray(x) for x in jax.tree.leaves(p) if x.dtype == float] for p in moved]


@pytest.mark.parametrize("name", CLIMBING)
def test_a_step_has_the_weight_of_its_number(name):
    inference = CLIMBING[name]
    half, last, beyond = _moves(inference, ELBO(kl="sampled", warmup_steps=W), 1, W - 1, W)
    (at_half,) = _moves(inference, ELBO(kl="sampled", beta=2 / W), 1)
    at_last, at_beyond = _moves(inference, ELBO(kl="sampled"), W - 1, W)
    for found, wanted in ((half, at_half), (last, at_last), (beyond, at_beyond)):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)  # two orders of one float64 sum
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(half, at_last, strict=True))
