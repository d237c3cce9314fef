"""Step sizes: a schedule ends with the run, and no wish about them goes unheard."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from nodes import run

from taut.bounds import ELBO
from taut.core import Datum, InputError, Pair
from taut.gradients import Reparameterized
from taut.guides import MeanFieldGaussian, linear_guide
from taut.inference.amortized import Alternate, variational_em, wake_sleep
from taut.models import ProbabilisticPCA
from taut.training import TrainingOptions, schedule

ROWS = Datum(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
EXAMPLE = Datum(ROWS.x[0])
STEPS = 10


def _pair() -> Pair:
    model_key, guide_key = jax.random.split(jax.random.key(0))
    model = ProbabilisticPCA(
        center=jnp.zeros(3),
        loadings=jax.random.normal(model_key, (3, 1)),
        log_variance=jnp.zeros(()),
    )
    return Pair(model, linear_guide(3, MeanFieldGaussian(1), key=guide_key))


def _sides(e_steps: int, optimizer: optax.GradientTransformation):
    return variational_em(
        _pair(), ELBO(), Reparameterized(), optimizer, optimizer,
        example=EXAMPLE, key=jax.random.key(1), alternation=Alternate(e_steps),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "e_steps"), [("adam", 1), ("sgd", 4)])
def test_a_schedule_ends_with_the_run_whichever_side_moves(name, e_steps):
    """After T steps the cosine is 0, whatever number of them each side made; not before."""
    training = TrainingOptions(optimizer=name, learning_rate_schedule="cosine", learning_rate=0.01)
    rate = schedule("cosine", training.learning_rate, num_steps=STEPS)
    algorithm = _sides(e_steps, training.transformation(rate))
    step = jax.jit(lambda state: algorithm.step(state, ROWS)[0])
    states = [algorithm.init()]
    for _ in range(STEPS + 5):
        states.append(step(states[-1]))
    moves = [not eqx.tree_equal(a.parameters, b.parameters) for a, b in itertools.pairwise(states)]
    assert moves == [True] * STEPS + [False] * 5


def test_an_optimizer_that_asks_for_nothing_is_told_nothing():
    """Plain transformations and those of a user's own take no step."""
    plain = optax.GradientTransformation(
        lambda params: (), lambda updates, state, params=None: (updates, state)
    )
    algorithm = wake_sleep(_pair(), plain, plain, key=jax.random.key(0))
    assert np.isfinite(float(run(algorithm, ROWS, 1)[1]["bound"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 5.0), ("learning_rate_schedule", "cosine"), ("learning_rate_warmup", 10)],
)
def test_a_step_size_beside_an_optax_transformation_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name}: expected none beside an Optax transformation"):
        TrainingOptions(optimizer=optax.sgd(0.01), **{name: value})


def test_a_plateau_scales_an_optax_transformation_too():
    TrainingOptions(optimizer=optax.sgd(0.01), learning_rate_schedule="plateau")


@pytest.mark.parametrize("patience", [1, 5])
def test_a_plateau_that_training_would_stop_before_is_refused(patience):
    with pytest.raises(InputError, match="patience: expected more than the 5 validations"):
        TrainingOptions(learning_rate_schedule="plateau", patience=patience)
    TrainingOptions(patience=patience)
    for enough in (0, 6):
        TrainingOptions(learning_rate_schedule="plateau", patience=enough)
