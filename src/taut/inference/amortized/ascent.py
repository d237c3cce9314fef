"""Ascent of a batch's objective, one side at a time or all at once.

    parameters_s <- parameters_s + scale * optimizer_s(gradient of the batch mean of the surrogate)

for every side s that moves: one side of all parameters, or the guide's and the model's, of which a
schedule may say who moves when. A constant, which no gradient enters, is held.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`, so it is a function of the
state and the batch alone. A step whose value or gradients are not finite is rejected: only its number
remains, and it reports NaN, so that a gradient which is not finite behind a finite value shows, too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, Terms, num_rows, particles
from taut.gradients import AbstractEstimator, Surrogate
from taut.guides import AmortizedGuide
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.alternation import AbstractAlternation
from taut.inference.amortized.ascent_steps import moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import (
    BatchSurrogate,
    Prepare,
    batch_surrogate,
    row_key,
)
from taut.inference.amortized.movable import movable

__all__ = ["AscentState", "Objective", "Side", "ascent", "estimated"]

# Which of two sides, guide and model, move in E_STEP, M_STEP and BOTH.
_WHO = ((True, False), (False, True), (True, True))


class AscentState(NamedTuple):
    """State of an ascent.

    Attributes:
        parameters: floating-point arrays of the pair; None elsewhere.
        optimizers: states of the sides' optimizers.
        schedule: state of the schedule; None where all sides move in every step.
        aux: the estimator's own state.
        scale: what the optimizers' updates are multiplied by.
        key: random key of the run.
        step: steps taken, rejected ones among them.
    """

    parameters: Any
    optimizers: tuple[Any, ...]
    schedule: Any
    aux: Any
    scale: Float[Array, ""]
    key: PRNGKeyArray
    step: Int[Array, ""]


class Side(NamedTuple):
    """Parameters that move together.

    Attributes:
        optimizer: any Optax transformation that minimises.
        reached: True where a floating-point array of the pair belongs to them; a pytree or True for all.
    """

    optimizer: optax.GradientTransformation
    reached: Any = True


class Objective(NamedTuple):
    """What a row contributes.

    Attributes:
        surrogate: (model, guide, datum, key, step, aux) -> value and surrogate.
        terms: (model, guide, datum, key) -> terms of the log-weights at the very draws of `surrogate`.
        aux: the estimator's own state before the first step.
        update: (aux, its gradient, statistics, step) -> aux.
    """

    surrogate: Callable[..., Surrogate]
    terms: Callable[..., Terms]
    aux: Any = None
    update: Callable[..., Any] = lambda aux, gradient, statistics, step: aux


def estimated(
    bound: AbstractBound,
    estimator: AbstractEstimator,
    guide: Any,
    *,
    example: Datum,
    key: PRNGKeyArray,
) -> Objective:
    """A bound as an estimator differentiates it.

    Arguments:
        bound: what is maximised, nats per row.
        estimator: how it is differentiated.
        guide: from which a network of the estimator reads the shape of z.
        example: one row, from which the estimator makes its own state.
        key: of that state.
    """

    def surrogate(
        model: Any, guide: Any, datum: Datum, key: PRNGKeyArray, step: Any, aux: Any
    ) -> Surrogate:
        found = estimator(bound, model, guide, datum, key, step=step, aux=aux)
        if not isinstance(guide, AmortizedGuide):
            return found
        return found._replace(surrogate=found.surrogate + guide.classification(datum))

    def terms(model: Any, guide: Any, datum: Datum, key: PRNGKeyArray) -> Terms:
        return particles(model, guide, guide, datum, key, bound.minted).terms

    return Objective(surrogate, terms, estimator.init(key, example, guide), estimator.update)


def ascent(
    pair: AbstractPair,
    objective: Objective,
    sides: tuple[Side] | tuple[Side, Side],
    *,
    key: PRNGKeyArray,
    schedule: AbstractAlternation | None = None,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Raise the batch mean of an objective in the parameters of a pair.

    Arguments:
        pair: initial parameters.
        objective: of a row.
        sides: one, or the guide's and the model's. A parameter of both moves with both.
        key: of the steps.
        schedule: which of two sides move when; None for all in every step.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value before the step;
        under a schedule `phase` says what the step was.
    """
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    aux_start, aux_static = eqx.partition(objective.aux, eqx.is_array)
    everyone = (True,) * len(sides)

    def init() -> AscentState:
        return AscentState(
            parameters=arrays,
            optimizers=tuple(s.optimizer.init(eqx.filter(arrays, s.reached)) for s in sides),
            schedule=None if schedule is None else schedule.init(),
            aux=aux_start,
            scale=jnp.ones(()),
            key=key,
            step=jnp.zeros((), jnp.int32),
        )

    def live_parts(state: AscentState, who: tuple[bool, ...]) -> tuple[Any, ...]:
        parts = [
            eqx.filter(state.parameters, side.reached if moves else False)
            for side, moves in zip(sides, who, strict=True)
        ]
        return (*parts, eqx.filter(state.aux, eqx.is_inexact_array))

    def bound_sides(live: tuple[Any, ...], state: AscentState) -> tuple[Any, Any]:
        # Each side is bound from its own copy, so that a shared parameter has a gradient by slot.
        copies = [eqx.combine(part, state.parameters, static).bind() for part in live[:-1]]
        return copies[-1][0], copies[0][1]

    def rows(live: tuple[Any, ...], state: AscentState) -> Callable[..., Surrogate]:
        model, guide = bound_sides(live, state)
        aux = eqx.combine(live[-1], state.aux, aux_static)

        def one(datum: Datum, datum_key: PRNGKeyArray) -> Surrogate:
            return objective.surrogate(model, guide, datum, datum_key, state.step, aux)

        return one

    def loss(
        live: tuple[Any, ...], state: AscentState, batch: Datum
    ) -> tuple[Array, BatchSurrogate]:
        step_key = jax.random.fold_in(state.key, state.step)
        out = batch_surrogate(rows(live, state), batch, step_key, prepare=prepare)
        return -out.surrogate, out

    def move(
        state: AscentState, batch: Datum, who: tuple[bool, ...]
    ) -> tuple[AscentState, Float[Array, ""]]:
        live = live_parts(state, who)
        gradients, out = jax.grad(loss, has_aux=True)(live, state, batch)
        free = movable(lambda live: loss(live, state, batch)[0], live)

        def accepted() -> AscentState:
            parameters, moments = state.parameters, list(state.optimizers)
            for i, side in enumerate(sides):
                if who[i]:
                    parameters, moments[i] = moved(
                        side.optimizer, gradients[i], moments[i], live[i], parameters,
                        scale=state.scale, step=state.step, free=free[i],
                    )  # fmt: skip
            aux = eqx.combine(state.aux, aux_static)
            aux = objective.update(aux, gradients[-1], out.statistics, state.step)
            return state._replace(
                parameters=parameters, optimizers=tuple(moments), aux=eqx.filter(aux, eqx.is_array)
            )

        return taken(state, out.value, gradients, accepted)

    def step(state: AscentState, batch: Datum) -> tuple[AscentState, Metrics]:
        if schedule is None:
            ahead, value = move(state, batch, everyone)
            return ahead._replace(step=state.step + 1), {"bound": value}
        turns, phase = schedule, schedule.phase(state.schedule)
        # Only the chosen one is computed.
        ahead, value = jax.lax.switch(
            phase, [lambda who=who: move(state, batch, who) for who in _WHO]
        )
        _, guide = eqx.combine(ahead.parameters, static).bind()
        later = jax.lax.cond(
            jnp.isfinite(value),
            lambda: turns.advance(state.schedule, value, guide),
            lambda: state.schedule,
        )
        ahead = ahead._replace(schedule=later, step=state.step + 1)
        return ahead, {"bound": value, "phase": phase}

    def inspect(state: AscentState, batch: Datum) -> Inspection:
        def look(who: tuple[bool, ...], datum: Datum, datum_key: PRNGKeyArray) -> Inspection:
            live = live_parts(state, who)
            terms = objective.terms(*bound_sides(live, state), datum, datum_key)
            return scored(terms, lambda live: rows(live, state)(datum, datum_key).surrogate, live)

        def row(entry: tuple[Datum, PRNGKeyArray]) -> Inspection:
            seen = row_key(*entry, prepare=prepare)
            if schedule is None:
                return look(everyone, *seen)
            phase = schedule.phase(state.schedule)
            return jax.lax.switch(phase, [lambda who=who: look(who, *seen) for who in _WHO])

        step_key = jax.random.fold_in(state.key, state.step)
        return jax.lax.map(row, (batch, jax.random.split(step_key, num_rows(batch))))

    return Algorithm(
        init,
        step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=inspect,
    )
