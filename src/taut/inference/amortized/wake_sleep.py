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

from typing import Any, Literal

import jax
import optax
from jaxtyping import PRNGKeyArray

from taut.bounds import IWAE
from taut.core import AbstractPair, Datum, InputError, Terms, option, particles
from taut.gradients import Surrogate
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.ascent import Objective, Side, ascent
from taut.inference.amortized.batch_surrogate import Prepare
from taut.inference.amortized.slots import reach
from taut.inference.amortized.wake_sleep_objectives import sleep, wake

__all__ = ["wake_sleep"]


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
            row of a batch, without label or number; at the total of this row where counts are judged
            given totals. Cells that hide themselves do so in a dream, too.
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
    reached = reach(pair)

    def surrogate(
        model: Any, guide: Any, datum: Datum, row_key: PRNGKeyArray, step: Any, aux: Any
    ) -> Surrogate:
        wake_key, dream_key = jax.random.split(row_key)
        woken = wake(model, guide, datum, wake_key, num_particles)
        fits = []
        if phi != "sleep":
            fits.append(woken.phi)
        if phi != "wake":
            fits.append(sleep(model, guide, dream_key, datum))
        return Surrogate(bound(woken.particles), woken.theta + sum(fits) / len(fits))

    def terms(model: Any, guide: Any, datum: Datum, row_key: PRNGKeyArray) -> Terms:
        wake_key, _ = jax.random.split(row_key)
        return particles(model, guide, guide, datum, wake_key, num_particles).terms

    sides = (Side(guide_optimizer, reached.guide), Side(model_optimizer, reached.model))
    return ascent(pair, Objective(surrogate, terms), sides, key=key, prepare=prepare)
