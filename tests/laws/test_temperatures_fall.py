"""Estimators with a temperature that falls take, at each step, the gradient of one held where it is."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from discrete_routes import X, two_bits
from known_models import datum

from taut.bounds import ELBO
from taut.gradients import ESTIMATORS, Concrete, StraightThrough, Temperature

FALLING, NOW = Temperature(start=1.0, least=0.4, rate=0.1), math.exp(-0.5)  # after five steps
MAKERS = {"gumbel-softmax": Concrete, "straight-through": lambda t: StraightThrough("relaxed", t)}


def test_every_estimator_with_such_a_temperature_is_here():
    scheduled = {n for n, e in ESTIMATORS.items() if "temperature" in getattr(e, "readers", {})}
    assert scheduled == MAKERS.keys()


@pytest.mark.parametrize("name", MAKERS)
def test_the_step_of_the_run_decides(name, float64):
    pair = two_bits().pair

    def gradient(temperature, step):
        def surrogate(guide):
            key, estimator = jax.random.key(0), MAKERS[name](temperature)
            found = estimator(ELBO(num_draws=2), pair.model, guide, datum(X), key, step=step)
            return found.surrogate

        return jax.grad(surrogate)(pair.guide).logits

    falling = jax.jit(jax.vmap(lambda step: gradient(FALLING, step)))(jnp.array([0, 5]))
    held = jax.jit(lambda: gradient(Temperature(NOW, NOW, 0.0), 0))()
    np.testing.assert_allclose(falling[1], held, rtol=1e-10)
    assert np.abs(falling[0] - held).max() > 1e-3
