"""The objectives of wake-sleep: what one row, and one dream, teach each side.

    wake theta    log((1/K) sum_k p(x, z_k) / q(z_k | x)),      z_k ~ q(z | x), x from the data
    wake phi      sum_k w~_k log q(z_k | x),                    w~ the normalised weights
    sleep phi     log q(z | x),                                 z, x ~ p, a dream, with its s ~ p(s | x)

The first is differentiated in theta, the others in phi; nothing is differentiated through a draw or
a weight. In expectation over the draws the gradients are

    wake theta    that of the IWAE bound, unbiased
    wake phi      that of -KL(p(z | x) to q(z | x)), biased for finite K, consistent
    sleep phi     that of -E_{p(x)} KL(p(z | x) to q(z | x)), unbiased

(Hinton, Dayan, Frey and Neal 1995; Bornschein and Bengio 2015). One evaluation of model and guide per
particle, and one of the guide per dream.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import IWAE
from taut.core import (
    AbstractModel,
    Datum,
    InputError,
    Particles,
    as_proposal,
    frozen,
    option,
    particles,
    total,
)
from taut.core.independent_draws import one_draw
from taut.gradients.still import still_log_q
from taut.models import ChainModel, LatentVariableModel

__all__ = ["Woken", "sleep", "wake"]


class Woken(NamedTuple):
    """What one row gives.

    Attributes:
        particles: the draws with their weights.
        theta: surrogate of the model alone, whose value is the IWAE bound; nats.
        phi: surrogate of the guide alone.
    """

    particles: Particles
    theta: Float[Array, ""]
    phi: Float[Array, ""]


def wake(
    model: AbstractModel, guide: Any, datum: Datum, key: PRNGKeyArray, num_particles: int
) -> Woken:
    """Both wake objectives of one row.

    Raises:
        InputError: a Dirac guide, which has no density to fit.
    """
    q = as_proposal(guide(datum))
    if q.dirac:
        raise InputError(
            "a guide with a density, which is fitted to latents",
            f"{type(q).__name__}",
            "`taut.inference.amortized.joint`",
            where="wake_sleep",
        )
    made = particles(model, lambda _: frozen(q), lambda _: q, datum, key, num_particles)
    weights = jax.nn.softmax(jax.lax.stop_gradient(made.log_mass + made.log_w))
    theta = IWAE(num_particles)(still_log_q(made))
    return Woken(made, theta, jnp.sum(weights * made.log_q))


def sleep(
    model: AbstractModel, guide: Any, key: PRNGKeyArray, like: Datum | None = None
) -> Float[Array, ""]:
    """log q(z | x) at one dream (z, x) ~ p, which carries no gradient; nats.

    Arguments:
        model: dreams.
        guide: reads them.
        key: of the dream.
        like: a row, at whose total counts are drawn that are judged given it, and whose missing cells
            are those of the dream where the model does not say which are; None for a dream without
            missing cells, at the model's own total.

    Raises:
        InputError: a model that cannot be drawn from, or a chain of layers.
    """
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent, which a dream has",
            "a chain of layers, of whose latents a dream has the last alone",
            option("phi", "wake"), where="sleep",
        )  # fmt: skip
    prior_key, x_key = jax.random.split(key)
    still = frozen(model)
    z = jax.lax.stop_gradient(one_draw(as_proposal(still.prior()), prior_key))
    if like is not None and isinstance(still, LatentVariableModel):
        x = jax.lax.stop_gradient(still.sample_like(like, z, x_key))
    else:
        x = jax.lax.stop_gradient(still.sample(z, x_key))
    mask = None if like is None else like.mask
    if isinstance(model, LatentVariableModel) and model.masking is not None:
        mask = model.seen(
            x, jax.random.fold_in(key, 2)
        )  # a draw of p(z | x_o, s), not of p(z | x_o)
    return -total(as_proposal(guide(Datum(x, mask))).terms(z))
