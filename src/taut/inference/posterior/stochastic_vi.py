"""Stochastic VI: Adam on a guide's ELBO, over minibatches of a plate or all rows, averaging iterates.

    phi <- phi + a Adam(grad of the bound on B rows, scaled by N/B)
    phi_bar = mean of phi over the steps since `average` was cleared

The data travel in the state, which the loop carries without copying: a step reads B of their rows.
A gradient that is not finite counts as zero.
Under a fixed step size a the iterates settle into a cloud around the optimum whose excess is of
order a; their mean is closer (Polyak and Juditsky 1992). `a` is part of the state, so that one
program serves all sizes.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import ELBO
from taut.core import AbstractModel, Datum, Pair
from taut.gradients import AbstractEstimator, Reparameterized
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.amortized.finite import all_finite

__all__ = ["StochasticVIState", "stochastic_vi"]


class StochasticVIState(NamedTuple):
    """State of stochastic VI.

    Attributes:
        parameters: the guide's floating-point arrays.
        moments: Adam's.
        average: mean of the parameters over `averaged` steps.
        averaged: steps in it.
        step_size: a.
        model: arrays of the model.
        data: all arrays of the program.
        key: random key of the run.
        step: steps taken.
    """

    parameters: Any
    moments: Any
    average: Any
    averaged: Int[Array, ""]
    step_size: Float[Array, ""]
    model: Any
    data: Any
    key: PRNGKeyArray
    step: Int[Array, ""]

    def restarted(self, step_size: float) -> "StochasticVIState":
        """The same iterate with a cleared average and another step size."""
        size = jnp.asarray(step_size, self.step_size.dtype)
        return self._replace(averaged=jnp.zeros_like(self.averaged), step_size=size)

    @property
    def moving(self) -> "StochasticVIState":
        """What steps change: the state without the model and the data."""
        return self._replace(model=None, data=None)

    def moved(self, moving: "StochasticVIState") -> "StochasticVIState":
        """The state whose moving part that is."""
        return moving._replace(model=self.model, data=self.data)

    def with_model(self, model: AbstractModel) -> "StochasticVIState":
        """The same iterate under another model of the same structure."""
        return self._replace(model=eqx.filter(model, eqx.is_array))


def stochastic_vi(
    model: AbstractModel,
    guide: Any,
    data: Any,
    *,
    key: PRNGKeyArray,
    step_size: float,
    num_draws: int = 1,
    estimator: AbstractEstimator | None = None,
) -> Algorithm:
    """Maximise the ELBO in the guide's parameters.

    Arguments:
        model: p(x, z); reads `datum.x`, all data, where it is subsampled at the rows `datum.index`.
        guide: q(z) over the batch's latents.
        data: all arrays of the program.
        key: random key of the run.
        step_size: a, in units of the guide's parameters.
        num_draws: draws a step.
        estimator: of the gradient; None for the reparameterized one.

    Returns:
        an `Algorithm` whose batches carry row numbers, if any, in `index`, whose metric `bound` is
        the ELBO's unbiased value in nats, and whose pair has the averaged parameters.
    """
    arrays, static = eqx.partition(guide, eqx.is_inexact_array)
    model_arrays, model_static = eqx.partition(model, eqx.is_array)
    # Python numbers leave weak types behind, which a second step would compile again without.
    arrays = jax.tree.map(lambda a: jnp.array(a, dtype=a.dtype), arrays)
    adam = optax.scale_by_adam(b1=0.9, b2=0.99)
    # Sampled: log q comes from the draws, as estimators that drop its score want it.
    bound, estimate = ELBO(num_draws=num_draws, kl="sampled"), estimator or Reparameterized()

    def init() -> StochasticVIState:
        zero = jnp.zeros((), jnp.int32)
        size = jnp.asarray(step_size, float)
        return StochasticVIState(
            arrays, adam.init(arrays), arrays, zero, size, model_arrays, data, key, zero
        )

    def step(state: StochasticVIState, batch: Datum) -> tuple[StochasticVIState, Metrics]:
        datum = Datum(x=state.data, index=batch.index)
        here = eqx.combine(state.model, model_static)

        def loss(parameters: Any) -> tuple[Array, Array]:
            out = estimate(
                bound, here, eqx.combine(parameters, static), datum,
                jax.random.fold_in(state.key, state.step),
            )  # fmt: skip
            return -out.surrogate, out.value

        gradients, value = jax.grad(loss, has_aux=True)(state.parameters)
        finite = all_finite(value, gradients)
        gradients = jax.tree.map(lambda g: jnp.where(finite, g, 0.0), gradients)
        updates, moments = adam.update(gradients, state.moments)
        moved = jax.tree.map(lambda p, u: p - state.step_size * u, state.parameters, updates)
        count = state.averaged + 1
        average = jax.tree.map(lambda a, p: a + (p - a) / count, state.average, moved)
        return state._replace(
            parameters=moved,
            moments=moments,
            average=average,
            averaged=count,
            step=state.step + 1,
        ), {"bound": value}

    return Algorithm(init, step, lambda state: Pair(model, eqx.combine(state.average, static)))
