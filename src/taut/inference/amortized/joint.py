"""Joint ascent: model and guide move together along the estimated gradient of the bound.

    (theta, phi) <- (theta, phi) + optimizer(grad of the batch mean of the surrogate)

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`, so it is a function of the
state and the batch alone. A step whose value or gradient is not finite is rejected: only its number
remains.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum
from taut.gradients import AbstractEstimator, Surrogate
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.ascent import inspected, moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import Prepare, batch_surrogate

__all__ = ["JointState", "joint"]


class JointState(NamedTuple):
    """State of joint ascent.

    Attributes:
        parameters: floating-point arrays of the pair; None elsewhere.
        optimizer: state of the optimizer.
        aux: the estimator's own state.
        scale: what the optimizer's updates are multiplied by.
        key: random key of the run.
        step: steps taken, rejected ones among them.
    """

    parameters: Any
    optimizer: Any
    aux: Any
    scale: Float[Array, ""]
    key: PRNGKeyArray
    step: Int[Array, ""]


def joint(
    pair: AbstractPair,
    bound: AbstractBound,
    estimator: AbstractEstimator,
    optimizer: optax.GradientTransformation,
    *,
    example: Datum,
    key: PRNGKeyArray,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Maximise the batch mean of a bound in all parameters of a pair.

    Arguments:
        pair: initial parameters.
        bound: what is maximised, nats per row.
        estimator: how it is differentiated.
        optimizer: any Optax transformation that minimises.
        example: one row, from which an estimator makes its own state.
        key: random key of the run.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value.
    """
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    aux = estimator.init(aux_key, example, pair.bind()[1])
    aux_start, aux_static = eqx.partition(aux, eqx.is_array)

    def init() -> JointState:
        return JointState(
            parameters=arrays,
            optimizer=optimizer.init(arrays),
            aux=aux_start,
            scale=jnp.ones(()),
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def one(live: tuple[Any, Any], state: JointState) -> Any:
        parameters, aux_live = live
        model, guide = eqx.combine(parameters, static).bind()
        aux = eqx.combine(aux_live, state.aux, aux_static)

        def surrogate(datum: Datum, datum_key: PRNGKeyArray) -> Surrogate:
            return estimator(bound, model, guide, datum, datum_key, step=state.step, aux=aux)

        return surrogate

    def loss(live: tuple[Any, Any], state: JointState, batch: Datum) -> tuple[Array, Any]:
        key = jax.random.fold_in(state.key, state.step)
        out = batch_surrogate(one(live, state), batch, key, prepare=prepare)
        return -out.surrogate, (out.value, out.statistics)

    def step(state: JointState, batch: Datum) -> tuple[JointState, Metrics]:
        live = (state.parameters, eqx.filter(state.aux, eqx.is_inexact_array))
        (gradients, aux_gradients), (value, statistics) = jax.grad(loss, has_aux=True)(
            live, state, batch
        )

        def accepted() -> JointState:
            parameters, moments = moved(
                optimizer,
                gradients,
                state.optimizer,
                state.parameters,
                state.parameters,
                state.scale,
            )
            aux = eqx.combine(state.aux, aux_static)
            aux = estimator.update(aux, aux_gradients, statistics, state.step)
            return state._replace(
                parameters=parameters, optimizer=moments, aux=eqx.filter(aux, eqx.is_array)
            )

        kept, value = taken(state, value, (gradients, aux_gradients), accepted)
        return kept._replace(step=state.step + 1), {"bound": value}

    def look(state: JointState, datum: Datum, datum_key: PRNGKeyArray) -> Inspection:
        sides = eqx.combine(state.parameters, static).bind()
        live = (state.parameters, eqx.filter(state.aux, eqx.is_inexact_array))
        return scored(
            sides, datum, datum_key, bound.minted,
            lambda live: one(live, state)(datum, datum_key).surrogate, live,
        )  # fmt: skip

    return Algorithm(
        init,
        step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=inspected(look, prepare=prepare),
    )
