"""Joint ascent: model and guide move together along the estimated gradient of the bound.

(theta, phi) <- (theta, phi) + optimizer(grad of the batch mean of the surrogate)
"""

import jax
import optax
from jaxtyping import PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum
from taut.gradients import AbstractEstimator
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.ascent import Side, ascent, estimated
from taut.inference.amortized.batch_surrogate import Prepare

__all__ = ["joint"]


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
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    objective = estimated(bound, estimator, pair.bind()[1], example=example, key=aux_key)
    return ascent(pair, objective, (Side(optimizer),), key=draw_key, prepare=prepare)
