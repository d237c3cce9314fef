"""Semi-amortized inference: the encoder starts, gradient steps on each datum's own bound finish.

    through the steps    (theta, phi) <- ascent of the bound at lambda_T, lambda_T a function of both
    around them          theta <- ascent of the bound at lambda_T;  phi <- ascent of it at lambda_0

The first is Kim, Wiseman, Miller, Sontag and Rush (2018); the second, which takes no second
derivatives, is Krishnan, Liang and Hoffman (2018). `Refinement.through` chooses. In training, the
refinement of each datum draws afresh at each step; the fitted pair's guide has fixed draws.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`. A step that is not finite
is rejected: only its number remains.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import Datum, frozen
from taut.gradients import AbstractEstimator, Surrogate
from taut.guides import RefinedGuide, RefinedPair
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.ascent import inspected, moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import BatchSurrogate, Prepare, batch_surrogate
from taut.inference.amortized.finite import all_finite

__all__ = ["SemiAmortizedState", "semi_amortized"]


class SemiAmortizedState(NamedTuple):
    """State of semi-amortized inference.

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


def semi_amortized(
    pair: RefinedPair,
    bound: AbstractBound,
    estimator: AbstractEstimator,
    optimizer: optax.GradientTransformation,
    *,
    example: Datum,
    key: PRNGKeyArray,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Maximise the batch mean of a bound under the refined guide.

    Arguments:
        pair: model, encoder and refinement.
        bound: what is maximised, nats per row.
        estimator: how it is differentiated.
        optimizer: moves model and encoder; any Optax transformation that minimises.
        example: one row, from which an estimator makes its own state.
        key: random key of the run.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value at lambda_T.
    """
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    aux = estimator.init(aux_key, example, pair.bind()[1].amortized)
    aux_start, aux_static = eqx.partition(aux, eqx.is_array)

    def init() -> SemiAmortizedState:
        return SemiAmortizedState(
            parameters=arrays,
            optimizer=optimizer.init(arrays),
            aux=aux_start,
            scale=jnp.ones(()),
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def surrogate(live: tuple[Any, Any], state: SemiAmortizedState) -> Any:
        parameters, aux_live = live
        model, guide = eqx.combine(parameters, static).bind()
        aux = eqx.combine(aux_live, state.aux, aux_static)

        def one(datum: Datum, row_key: PRNGKeyArray) -> Surrogate:
            refine_key, end_key, start_key = jax.random.split(row_key, 3)
            refined = RefinedGuide(model, guide.amortized, guide.refinement, refine_key)
            end = estimator(bound, model, refined, datum, end_key, step=state.step, aux=aux)
            if guide.refinement.through:
                return end
            start = estimator(
                bound, frozen(model), guide.amortized, datum, start_key, step=state.step, aux=aux
            )
            return end._replace(surrogate=end.surrogate + start.surrogate)

        return one

    def loss(
        live: tuple[Any, Any], state: SemiAmortizedState, batch: Datum
    ) -> tuple[Array, BatchSurrogate]:
        key = jax.random.fold_in(state.key, state.step)
        out = batch_surrogate(surrogate(live, state), batch, key, prepare=prepare)
        return -out.surrogate, out

    def step(state: SemiAmortizedState, batch: Datum) -> tuple[SemiAmortizedState, Metrics]:
        live = (state.parameters, eqx.filter(state.aux, eqx.is_inexact_array))
        (gradient, aux_gradient), out = jax.grad(loss, has_aux=True)(live, state, batch)

        def accepted() -> SemiAmortizedState:
            parameters, moments = moved(
                optimizer,
                gradient,
                state.optimizer,
                state.parameters,
                state.parameters,
                state.scale,
            )
            aux = eqx.combine(state.aux, aux_static)
            aux = estimator.update(aux, aux_gradient, out.statistics, state.step)
            return state._replace(
                parameters=parameters, optimizer=moments, aux=eqx.filter(aux, eqx.is_array)
            )

        kept, value = taken(state, out.value, (gradient, aux_gradient), accepted)
        return kept._replace(step=state.step + 1), {"bound": value}

    def look(state: SemiAmortizedState, datum: Datum, datum_key: PRNGKeyArray) -> Inspection:
        model, guide = eqx.combine(state.parameters, static).bind()
        live = (state.parameters, eqx.filter(state.aux, eqx.is_inexact_array))
        refine_key, end_key, _ = jax.random.split(datum_key, 3)

        def at(guide: Any) -> Inspection:
            return scored(
                (model, guide), datum, end_key, bound.minted,
                lambda live: surrogate(live, state)(datum, datum_key).surrogate, live,
            )  # fmt: skip

        # A term that breaks at lambda_0 breaks the steps, after which no term is finite.
        start = at(guide.amortized)
        end = at(RefinedGuide(model, guide.amortized, guide.refinement, refine_key))
        whole = all_finite(jnp.zeros(()), start.terms)
        return Inspection(
            jax.tree.map(functools.partial(jnp.where, whole), end.terms, start.terms),
            end.gradient_norm,
        )

    return Algorithm(
        init,
        step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=inspected(look, prepare=prepare),
    )
