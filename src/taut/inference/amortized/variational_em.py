"""Variational EM: ascent of the bound that alternates between the guide and the model.

    E-step    phi   <- phi   + optimizer_phi(grad of the bound through the guide's slots)
    M-step    theta <- theta + optimizer_theta(grad of the bound through the model's slot)

Both raise one function, F(q, theta) = log p(x) - KL(q to p(z | x)) (Neal and Hinton 1998), so
alternating and joint ascent share their fixed points. Which side moves when is a schedule's choice. A
parameter moves with every side that it reaches: one that both sides share is in both optimizers.
A step that is not finite leaves the schedule where it was.
"""

import jax
import optax
from jaxtyping import PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError
from taut.gradients import AbstractEstimator
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.alternation import AbstractAlternation, Alternate
from taut.inference.amortized.ascent import Side, ascent, estimated
from taut.inference.amortized.batch_surrogate import Prepare
from taut.inference.amortized.slots import reach

__all__ = ["variational_em"]


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
    objective = estimated(bound, estimator, pair.bind()[1], example=example, key=aux_key)
    return ascent(
        pair,
        objective,
        (Side(guide_optimizer, reached.guide), Side(model_optimizer, reached.model)),
        key=draw_key,
        schedule=Alternate() if alternation is None else alternation,
        prepare=prepare,
    )
