"""Semi-amortized inference: the encoder starts, gradient steps on each datum's own bound finish.

    through the steps    (theta, phi) <- ascent of the bound at lambda_T, lambda_T a function of both
    around them          theta <- ascent of the bound at lambda_T;  phi <- ascent of it at lambda_0

The first is Kim, Wiseman, Miller, Sontag and Rush (2018); the second, which takes no second
derivatives, is Krishnan, Liang and Hoffman (2018). `Refinement.through` chooses. In training, the
refinement of each datum draws afresh at each step; the fitted pair's guide has fixed draws.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import Datum, Terms, frozen
from taut.gradients import AbstractEstimator, Surrogate
from taut.guides import RefinedGuide, RefinedPair
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.ascent import Side, ascent, estimated
from taut.inference.amortized.batch_surrogate import Prepare
from taut.inference.amortized.finite import all_finite

__all__ = ["semi_amortized"]


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
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    amortized = pair.bind()[1].amortized
    objective = estimated(bound, estimator, amortized, example=example, key=aux_key)

    def surrogate(
        model: Any, guide: Any, datum: Datum, row_key: PRNGKeyArray, step: Any, aux: Any
    ) -> Surrogate:
        refine_key, end_key, start_key = jax.random.split(row_key, 3)
        refined = RefinedGuide(model, guide.amortized, guide.refinement, refine_key)
        end = objective.surrogate(model, refined, datum, end_key, step, aux)
        if guide.refinement.through:
            return end
        start = objective.surrogate(frozen(model), guide.amortized, datum, start_key, step, aux)
        return end._replace(surrogate=end.surrogate + start.surrogate)

    def terms(model: Any, guide: Any, datum: Datum, row_key: PRNGKeyArray) -> Terms:
        refine_key, end_key, _ = jax.random.split(row_key, 3)
        refined = RefinedGuide(model, guide.amortized, guide.refinement, refine_key)
        # A term that breaks at lambda_0 breaks the steps, after which no term is finite.
        start = objective.terms(model, guide.amortized, datum, end_key)
        end = objective.terms(model, refined, datum, end_key)
        whole = all_finite(jnp.zeros(()), start)
        return jax.tree.map(functools.partial(jnp.where, whole), end, start)

    refined = objective._replace(surrogate=surrogate, terms=terms)
    return ascent(pair, refined, (Side(optimizer),), key=draw_key, prepare=prepare)
