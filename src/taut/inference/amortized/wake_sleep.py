"""Wake-sleep and reweighted wake-sleep: model and guide each raise an objective of their own.

    theta <- theta + optimizer_theta(wake theta)          the model, on data as the guide sees them
    phi   <- phi   + optimizer_phi(wake phi, sleep phi, or the average of both)

The guide is fitted to given latents, whatever their kind, and no signal multiplies a score. It minimises
KL(p(z | x) to q), over data or over the model's dreams, where the ELBO would have it minimise KL(q to
p(z | x)). No one function rises: when p is far from the data, so are its dreams.

K = 1 with sleep phi is wake-sleep (Hinton, Dayan, Frey and Neal 1995); K > 1 with wake phi, or with the
average of both, is reweighted wake-sleep (Bornschein and Bengio 2015). The objectives are in
`wake_sleep_objectives`.
"""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import IWAE
from taut.core import AbstractModel, AbstractPair, Datum, InputError, option
from taut.gradients import Surrogate
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.ascent import inspected, moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import BatchSurrogate, Prepare, batch_surrogate
from taut.inference.amortized.slots import reach
from taut.inference.amortized.wake_sleep_objectives import sleep, wake

__all__ = ["WakeSleepState", "wake_sleep"]


class WakeSleepState(NamedTuple):
    """State of wake-sleep.

    Attributes:
        parameters: floating-point arrays of the pair; None elsewhere.
        guide_optimizer: state of the guide's optimizer.
        model_optimizer: state of the model's.
        scale: what the optimizers' updates are multiplied by.
        key: random key of the run.
        step: steps taken, rejected ones among them.
    """

    parameters: Any
    guide_optimizer: Any
    model_optimizer: Any
    scale: Float[Array, ""]
    key: PRNGKeyArray
    step: Int[Array, ""]


def wake_sleep(
    pair: AbstractPair,
    guide_optimizer: optax.GradientTransformation,
    model_optimizer: optax.GradientTransformation,
    *,
    num_particles: int = 5,
    phi: Literal["wake", "sleep", "both"] = "wake",
    key: PRNGKeyArray,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Fit the model to the data as the guide sees them, and the guide to latents with their data.

    A parameter that both sides share moves with both.

    Arguments:
        pair: initial parameters. Sleep draws rows from the model by `prior` and `sample`, one for each
            row of a batch, whole, without label or number.
        guide_optimizer: moves phi; any Optax transformation that minimises.
        model_optimizer: moves theta; likewise.
        num_particles: K, in the wake phase.
        phi: what the guide is fitted to: weighted draws at the data, dreams, or the average of both.
        key: random key of the run.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the IWAE bound, nats per row.

    Raises:
        InputError: no particle; one particle for wake phi, whose only weight says nothing of it; an
            unknown `phi`.
    """
    if phi not in ("wake", "sleep", "both"):
        raise InputError("wake, sleep or both", repr(phi), "wake", where="phi")
    if num_particles < 2 and phi != "sleep":
        raise InputError(
            "at least two particles for wake phi, which weighs them against each other",
            f"{num_particles}", f"{option('num_particles', 5)}, or {option('phi', 'sleep')}",
            where=option("num_particles"),
        )  # fmt: skip
    bound = IWAE(num_particles)
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    reached = reach(pair)

    def init() -> WakeSleepState:
        return WakeSleepState(
            parameters=arrays,
            guide_optimizer=guide_optimizer.init(eqx.filter(arrays, reached.guide)),
            model_optimizer=model_optimizer.init(eqx.filter(arrays, reached.model)),
            scale=jnp.ones(()),
            key=key,
            step=jnp.zeros((), jnp.int32),
        )

    def sides(live: tuple[Any, Any], state: WakeSleepState) -> tuple[AbstractModel, Any]:
        # Each side is bound from its own copy, so that a shared parameter has a gradient by slot.
        _, guide = eqx.combine(live[0], state.parameters, static).bind()
        model, _ = eqx.combine(live[1], state.parameters, static).bind()
        return model, guide

    def live_parts(state: WakeSleepState) -> tuple[Any, Any]:
        return (
            eqx.filter(state.parameters, reached.guide),
            eqx.filter(state.parameters, reached.model),
        )

    def surrogate(model: Any, guide: Any, datum: Datum, key: PRNGKeyArray) -> Surrogate:
        wake_key, dream_key = jax.random.split(key)
        woken = wake(model, guide, datum, wake_key, num_particles)
        fits = []
        if phi != "sleep":
            fits.append(woken.phi)
        if phi != "wake":
            fits.append(sleep(model, guide, dream_key))
        return Surrogate(bound(woken.particles), woken.theta + sum(fits) / len(fits))

    def loss(
        live: tuple[Any, Any], state: WakeSleepState, batch: Datum
    ) -> tuple[Array, BatchSurrogate]:
        model, guide = sides(live, state)
        key = jax.random.fold_in(state.key, state.step)
        out = batch_surrogate(
            lambda datum, row_key: surrogate(model, guide, datum, row_key),
            batch,
            key,
            prepare=prepare,
        )
        return -out.surrogate, out

    def step(state: WakeSleepState, batch: Datum) -> tuple[WakeSleepState, Metrics]:
        live = live_parts(state)
        gradients, out = jax.grad(loss, has_aux=True)(live, state, batch)

        def accepted() -> WakeSleepState:
            guide_gradient, model_gradient = gradients
            guide_side, model_side = live
            parameters, guide_moments = moved(
                guide_optimizer, guide_gradient, state.guide_optimizer, guide_side,
                state.parameters, state.scale,
            )  # fmt: skip
            parameters, model_moments = moved(
                model_optimizer, model_gradient, state.model_optimizer, model_side,
                parameters, state.scale,
            )  # fmt: skip
            return state._replace(
                parameters=parameters, guide_optimizer=guide_moments, model_optimizer=model_moments
            )

        kept, value = taken(state, out.value, gradients, accepted)
        return kept._replace(step=state.step + 1), {"bound": value}

    def look(state: WakeSleepState, datum: Datum, datum_key: PRNGKeyArray) -> Inspection:
        live = live_parts(state)
        wake_key, _ = jax.random.split(datum_key)
        return scored(
            sides(live, state), datum, wake_key, num_particles,
            lambda live: surrogate(*sides(live, state), datum, datum_key).surrogate, live,
        )  # fmt: skip

    return Algorithm(
        init,
        step,
        lambda state: eqx.combine(state.parameters, static),
        rescale=rescaled,
        inspect=inspected(look, prepare=prepare),
    )
