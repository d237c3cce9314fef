"""Ascent of a batch's objective, one side at a time or all at once.

    parameters_s <- parameters_s + scale * optimizer_s(gradient of the batch mean of the surrogate)

for every side s that moves: one side of all parameters, or the guide's and the model's, of which a
schedule may say who moves when. A constant, which no gradient enters, is held.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`, so it is a function of the
state and the batch alone. A step whose value or gradients are not finite is rejected: only its number
remains, and it reports NaN, so that a gradient which is not finite behind a finite value shows, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, Terms, num_rows, particles
from taut.core.devices import mean_of_shares
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
    aux, aux_static = eqx.partition(objective.aux, eqx.is_array)
    mover = _Ascent(objective, sides, schedule, prepare, static, aux_static)
    return Algorithm(
        lambda: mover.start(arrays, aux, key),
        mover.step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=mover.inspect,
    )


@dataclass(frozen=True, eq=False)
class _Ascent:
    """What an ascent does to its state.

    Attributes:
        objective, sides, schedule, prepare: as of `ascent`.
        static: the pair without its floating-point arrays.
        aux_static: the estimator's own state without its arrays.
    """

    objective: Objective
    sides: tuple[Side] | tuple[Side, Side]
    schedule: AbstractAlternation | None
    prepare: Prepare | None
    static: Any
    aux_static: Any

    def start(self, parameters: Any, aux: Any, key: PRNGKeyArray) -> AscentState:
        """The state before the first step."""
        return AscentState(
            parameters=parameters,
            optimizers=tuple(
                side.optimizer.init(eqx.filter(parameters, side.reached)) for side in self.sides
            ),
            schedule=None if self.schedule is None else self.schedule.init(),
            aux=aux,
            scale=jnp.ones(()),
            key=key,
            step=jnp.zeros((), jnp.int32),
        )

    def step(self, state: AscentState, batch: Datum) -> tuple[AscentState, Metrics]:
        """One step of all sides, or of those whose turn it is."""
        if self.schedule is None:
            ahead, value = self._moved(state, batch, self._everyone)
            return ahead._replace(step=state.step + 1), {"bound": value}
        turns, phase = self.schedule, self.schedule.phase(state.schedule)
        ahead, value = _at_phase(phase, lambda who: self._moved(state, batch, who))
        _, guide = eqx.combine(ahead.parameters, self.static).bind()
        later = jax.lax.cond(
            jnp.isfinite(value),
            lambda: turns.advance(state.schedule, value, guide),
            lambda: state.schedule,
        )
        ahead = ahead._replace(schedule=later, step=state.step + 1)
        return ahead, {"bound": value, "phase": phase}

    def inspect(self, state: AscentState, batch: Datum) -> Inspection:
        """What the next step would compute from each row."""

        def row(entry: tuple[Datum, PRNGKeyArray]) -> Inspection:
            seen = row_key(*entry, prepare=self.prepare)
            if self.schedule is None:
                return self._inspected(state, self._everyone, *seen)
            phase = self.schedule.phase(state.schedule)
            return _at_phase(phase, lambda who: self._inspected(state, who, *seen))

        step_key = jax.random.fold_in(state.key, state.step)
        return jax.lax.map(row, (batch, jax.random.split(step_key, num_rows(batch))))

    @property
    def _everyone(self) -> tuple[bool, ...]:
        return (True,) * len(self.sides)

    def _live(self, state: AscentState, who: tuple[bool, ...]) -> tuple[Any, ...]:
        """What moves: the parameters of each side, none of one at rest, and the estimator's own."""
        parts = [
            eqx.filter(state.parameters, side.reached if moves else False)
            for side, moves in zip(self.sides, who, strict=True)
        ]
        return (*parts, eqx.filter(state.aux, eqx.is_inexact_array))

    def _bound_sides(self, live: tuple[Any, ...], state: AscentState) -> tuple[Any, Any]:
        """The model and the guide, each of its side's own copy: a shared parameter has two gradients."""
        copies = [eqx.combine(part, state.parameters, self.static).bind() for part in live[:-1]]
        return copies[-1][0], copies[0][1]

    def _of_row(self, live: tuple[Any, ...], state: AscentState) -> Callable[..., Surrogate]:
        """The objective of a row as a function of the row and its key."""
        model, guide = self._bound_sides(live, state)
        aux = eqx.combine(live[-1], state.aux, self.aux_static)

        def one(datum: Datum, datum_key: PRNGKeyArray) -> Surrogate:
            return self.objective.surrogate(model, guide, datum, datum_key, state.step, aux)

        return one

    def _loss(
        self, live: tuple[Any, ...], state: AscentState, batch: Datum, keys: Array
    ) -> tuple[Array, BatchSurrogate]:
        out = batch_surrogate(self._of_row(live, state), batch, keys, prepare=self.prepare)
        return -out.surrogate, out

    def _moved(
        self, state: AscentState, batch: Datum, who: tuple[bool, ...]
    ) -> tuple[AscentState, Float[Array, ""]]:
        """The state with the sides that move ahead, and the value before; as it was if not finite."""
        live = self._live(state, who)
        keys = jax.random.split(jax.random.fold_in(state.key, state.step), num_rows(batch))

        def of_rows(rows: tuple[Datum, Array]) -> Any:
            return jax.grad(self._loss, has_aux=True)(live, state, *rows)

        gradients, out = mean_of_shares(of_rows, (batch, keys))
        free = movable(lambda live: self._loss(live, state, batch, keys)[0], live)

        def accepted() -> AscentState:
            parameters, moments = state.parameters, list(state.optimizers)
            for i, side in enumerate(self.sides):
                if who[i]:
                    parameters, moments[i] = moved(
                        side.optimizer, gradients[i], moments[i], live[i], parameters,
                        scale=state.scale, step=state.step, free=free[i],
                    )  # fmt: skip
            aux = eqx.combine(state.aux, self.aux_static)
            aux = self.objective.update(aux, gradients[-1], out.statistics, state.step)
            return state._replace(
                parameters=parameters, optimizers=tuple(moments), aux=eqx.filter(aux, eqx.is_array)
            )

        return taken(state, out.value, gradients, accepted)

    def _inspected(
        self, state: AscentState, who: tuple[bool, ...], datum: Datum, datum_key: PRNGKeyArray
    ) -> Inspection:
        live = self._live(state, who)
        terms = self.objective.terms(*self._bound_sides(live, state), datum, datum_key)
        return scored(
            terms, lambda live: self._of_row(live, state)(datum, datum_key).surrogate, live
        )


def _at_phase(phase: Int[Array, ""], result: Callable[[tuple[bool, ...]], Any]) -> Any:
    """The result for those who move in a phase; only that one is computed."""
    return jax.lax.switch(phase, [partial(result, who) for who in _WHO])
