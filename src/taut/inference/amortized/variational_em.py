"""Variational EM: ascent of the bound that alternates between the guide and the model.

    E-step    phi   <- phi   + optimizer_phi(grad of the bound through the guide's slots)
    M-step    theta <- theta + optimizer_theta(grad of the bound through the model's slot)

Both raise one function, F(q, theta) = log p(x) - KL(q to p(z | x)) (Neal and Hinton 1998), so
alternating and joint ascent share their fixed points. Which side moves when is a schedule's choice. A
parameter moves with every side that it reaches: one that both sides share is in both optimizers.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`. A step that is not finite
is rejected: only its number remains, and the schedule stays where it was.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractPair, Datum, InputError
from taut.gradients import AbstractEstimator, Surrogate
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.alternation import AbstractAlternation, Alternate
from taut.inference.amortized.ascent import inspected, moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import BatchSurrogate, Prepare, batch_surrogate
from taut.inference.amortized.slots import reach

__all__ = ["VariationalEMState", "variational_em"]

# Who moves in E_STEP, M_STEP and BOTH.
_WHO = (
    {"guide": True, "model": False},
    {"guide": False, "model": True},
    {"guide": True, "model": True},
)


class VariationalEMState(NamedTuple):
    """State of variational EM.

    Attributes:
        parameters: floating-point arrays of the pair; None elsewhere.
        guide_optimizer: state of the E-steps' optimizer.
        model_optimizer: state of the M-steps' optimizer.
        alternation: state of the schedule.
        aux: the estimator's own state.
        scale: what the optimizers' updates are multiplied by.
        key: random key of the run.
        step: steps taken, rejected ones among them.
    """

    parameters: Any
    guide_optimizer: Any
    model_optimizer: Any
    alternation: Any
    aux: Any
    scale: Float[Array, ""]
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
            scale=jnp.ones(()),
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def sides(live: tuple[Any, Any, Any], state: VariationalEMState) -> tuple[AbstractModel, Any]:
        # Each side is bound from its own copy, so that a shared parameter has a gradient by slot.
        _, guide = eqx.combine(live[0], state.parameters, static).bind()
        model, _ = eqx.combine(live[1], state.parameters, static).bind()
        return model, guide

    def surrogate(live: tuple[Any, Any, Any], state: VariationalEMState) -> Any:
        model, guide = sides(live, state)
        aux = eqx.combine(live[2], state.aux, aux_static)

        def one(datum: Datum, row_key: PRNGKeyArray) -> Surrogate:
            return estimator(bound, model, guide, datum, row_key, step=state.step, aux=aux)

        return one

    def loss(
        live: tuple[Any, Any, Any], state: VariationalEMState, batch: Datum
    ) -> tuple[Array, BatchSurrogate]:
        key = jax.random.fold_in(state.key, state.step)
        out = batch_surrogate(surrogate(live, state), batch, key, prepare=prepare)
        return -out.surrogate, out

    def live_parts(state: VariationalEMState, *, guide: bool, model: bool) -> tuple[Any, Any, Any]:
        return (
            eqx.filter(state.parameters, reached.guide if guide else False),
            eqx.filter(state.parameters, reached.model if model else False),
            eqx.filter(state.aux, eqx.is_inexact_array),
        )

    def move(
        state: VariationalEMState, batch: Datum, *, guide: bool, model: bool
    ) -> tuple[VariationalEMState, Float[Array, ""]]:
        live = live_parts(state, guide=guide, model=model)
        gradients, out = jax.grad(loss, has_aux=True)(live, state, batch)

        def accepted() -> VariationalEMState:
            ahead = state
            if guide:
                parameters, moments = moved(
                    guide_optimizer, gradients[0], state.guide_optimizer, live[0],
                    ahead.parameters, state.scale,
                )  # fmt: skip
                ahead = ahead._replace(parameters=parameters, guide_optimizer=moments)
            if model:
                parameters, moments = moved(
                    model_optimizer, gradients[1], state.model_optimizer, live[1],
                    ahead.parameters, state.scale,
                )  # fmt: skip
                ahead = ahead._replace(parameters=parameters, model_optimizer=moments)
            aux = eqx.combine(state.aux, aux_static)
            aux = estimator.update(aux, gradients[2], out.statistics, state.step)
            return ahead._replace(aux=eqx.filter(aux, eqx.is_array))

        return taken(state, out.value, gradients, accepted)

    def step(state: VariationalEMState, batch: Datum) -> tuple[VariationalEMState, Metrics]:
        phase = schedule.phase(state.alternation)
        # In the order of E_STEP, M_STEP, BOTH; only the chosen one is computed.
        ahead, value = jax.lax.switch(
            phase, [functools.partial(move, **who) for who in _WHO], state, batch
        )
        _, guide = eqx.combine(ahead.parameters, static).bind()
        alternation = jax.lax.cond(
            jnp.isfinite(value),
            lambda: schedule.advance(state.alternation, value, guide),
            lambda: state.alternation,
        )
        ahead = ahead._replace(alternation=alternation, step=state.step + 1)
        return ahead, {"bound": value, "phase": phase}

    def look(state: VariationalEMState, datum: Datum, datum_key: PRNGKeyArray) -> Inspection:
        def of(*, guide: bool, model: bool) -> Inspection:
            live = live_parts(state, guide=guide, model=model)
            return scored(
                sides(live, state), datum, datum_key, bound.minted,
                lambda live: surrogate(live, state)(datum, datum_key).surrogate, live,
            )  # fmt: skip

        phase = schedule.phase(state.alternation)
        return jax.lax.switch(phase, [functools.partial(of, **who) for who in _WHO])

    return Algorithm(
        init,
        step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=inspected(look, prepare=prepare),
    )
