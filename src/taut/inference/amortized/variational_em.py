"""Variational EM: ascent of the bound that alternates between the guide and the model.

    E-step    phi   <- phi   + optimizer_phi(grad of the bound through the guide's slots)
    M-step    theta <- theta + optimizer_theta(grad of the bound through the model's slot)

Both raise one function, F(q, theta) = log p(x) - KL(q to p(z | x)) (Neal and Hinton 1998), so
alternating and joint ascent share their fixed points. Which side moves when is a schedule's choice. A
parameter moves with every side that it reaches: one that both sides share is in both optimizers.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError
from taut.gradients import AbstractEstimator
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.amortized.alternation import AbstractAlternation, Alternate
from taut.inference.amortized.batch_surrogate import BatchSurrogate, Prepare, batch_surrogate
from taut.inference.amortized.slots import reach

__all__ = ["VariationalEMState", "variational_em"]


class VariationalEMState(NamedTuple):
    """State of variational EM.

    Attributes:
        parameters: floating-point arrays of the pair; None elsewhere.
        guide_optimizer: state of the E-steps' optimizer.
        model_optimizer: state of the M-steps' optimizer.
        alternation: state of the schedule.
        aux: the estimator's own state.
        key: random key of the run.
        step: steps taken.
    """

    parameters: Any
    guide_optimizer: Any
    model_optimizer: Any
    alternation: Any
    aux: Any
    key: PRNGKeyArray
    step: Int[Array, ""]


def variational_em(
    pair: AbstractPair,
    bound: AbstractBound,
    estimator: AbstractEstimator,
    guide_optimizer: optax.GradientTransformation,
    model_optimizer: optax.GradientTransformation,
    *,
    example: Datum,
    key: PRNGKeyArray,
    alternation: AbstractAlternation | None = None,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Maximise the batch mean of a bound, one side at a time.

    Arguments:
        pair: initial parameters.
        bound: what is maximised, nats per row.
        estimator: how it is differentiated.
        guide_optimizer: moves phi in E-steps; any Optax transformation that minimises.
        model_optimizer: moves theta in M-steps; likewise.
        example: one row, from which an estimator makes its own state.
        key: random key of the run.
        alternation: who moves when; None for one E-step, one M-step, and again.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metrics are `bound`, the batch mean of the reported value before the
        step, and `phase`, what the step was.

    Raises:
        InputError: a guide, or a model, without a parameter to move.
    """
    schedule = Alternate() if alternation is None else alternation
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    reached = reach(pair)
    for name, mask in (("guide", reached.guide), ("model", reached.model)):
        if not any(jax.tree.leaves(mask)):
            raise InputError(
                f"a {name} with parameters",
                "one with nothing to move",
                "`taut.inference.amortized.joint`, which moves what there is",
                where="variational_em",
            )
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    aux = estimator.init(aux_key, example, pair.bind()[1])
    aux_start, aux_static = eqx.partition(aux, eqx.is_array)

    def init() -> VariationalEMState:
        return VariationalEMState(
            parameters=arrays,
            guide_optimizer=guide_optimizer.init(eqx.filter(arrays, reached.guide)),
            model_optimizer=model_optimizer.init(eqx.filter(arrays, reached.model)),
            alternation=schedule.init(),
            aux=aux_start,
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def loss(
        live: tuple[Any, Any, Any], state: VariationalEMState, batch: Datum
    ) -> tuple[Array, BatchSurrogate]:
        phi, theta, aux_live = live
        # Each side is bound from its own copy, so that a shared parameter has a gradient by slot.
        _, guide = eqx.combine(phi, state.parameters, static).bind()
        model, _ = eqx.combine(theta, state.parameters, static).bind()
        aux = eqx.combine(aux_live, state.aux, aux_static)
        out = batch_surrogate(
            lambda datum, row_key: estimator(
                bound, model, guide, datum, row_key, step=state.step, aux=aux
            ),
            batch,
            jax.random.fold_in(state.key, state.step),
            prepare=prepare,
        )
        return -out.surrogate, out

    def move(
        state: VariationalEMState, batch: Datum, *, guide: bool, model: bool
    ) -> tuple[VariationalEMState, Float[Array, ""]]:
        phi = eqx.filter(state.parameters, reached.guide if guide else False)
        theta = eqx.filter(state.parameters, reached.model if model else False)
        live = (phi, theta, eqx.filter(state.aux, eqx.is_inexact_array))
        (phi_gradient, theta_gradient, aux_gradient), out = jax.grad(loss, has_aux=True)(
            live, state, batch
        )
        parameters = state.parameters
        if guide:
            updates, moments = guide_optimizer.update(phi_gradient, state.guide_optimizer, phi)
            parameters = eqx.apply_updates(parameters, updates)
            state = state._replace(guide_optimizer=moments)
        if model:
            updates, moments = model_optimizer.update(theta_gradient, state.model_optimizer, theta)
            parameters = eqx.apply_updates(parameters, updates)
            state = state._replace(model_optimizer=moments)
        aux = estimator.update(
            eqx.combine(state.aux, aux_static), aux_gradient, out.statistics, state.step
        )
        return state._replace(parameters=parameters, aux=eqx.filter(aux, eqx.is_array)), out.value

    def step(state: VariationalEMState, batch: Datum) -> tuple[VariationalEMState, Metrics]:
        phase = schedule.phase(state.alternation)
        # In the order of E_STEP, M_STEP, BOTH; only the chosen one is computed.
        moved, value = jax.lax.switch(
            phase,
            [
                lambda s, b: move(s, b, guide=True, model=False),
                lambda s, b: move(s, b, guide=False, model=True),
                lambda s, b: move(s, b, guide=True, model=True),
            ],
            state,
            batch,
        )
        _, guide = eqx.combine(moved.parameters, static).bind()
        alternation = schedule.advance(state.alternation, value, guide)
        moved = moved._replace(alternation=alternation, step=state.step + 1)
        return moved, {"bound": value, "phase": phase}

    return Algorithm(init, step, lambda state: eqx.combine(state.parameters, static))
