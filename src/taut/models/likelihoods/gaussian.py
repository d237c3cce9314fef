"""Gaussian likelihood: a cell is any real.

    log p(x | mu, sigma) = -(x - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2

Maximising it over a fixed sigma minimises the squared error; over a learned sigma it weighs that error
against KL in the ELBO by what the data say (Rybkin et al., Simple and effective VAE training with
calibrated decoders, ICML 2021).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, Normal

from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_infinite
from taut.models.likelihoods.moments import column_moments
from taut.models.likelihoods.scale import Scale

__all__ = ["Gaussian"]


class Gaussian(AbstractLikelihood):
    """Real cells; outputs are the mean and, where scale is `datum`, the raw scale.

    Arguments:
        shape: shape of one row of data.
        scale: what has a scale of its own: the whole `model`, each `dimension`, or each cell of a
            `datum`, where the decoder gives it.
        floor: smallest scale, in units of the data; a cell's log-density is below -log(floor) - 0.91
            nats.
    """

    name: ClassVar[str] = "gaussian"
    discrete: ClassVar[bool] = False
    scale: Scale
    num_outputs: int = eqx.field(static=True)

    def __init__(self, *, shape: tuple[int, ...], scale: str = "model", floor: float = 1e-3):
        self.scale = Scale(scale, shape=shape, floor=floor)
        self.num_outputs = 1 + self.scale.num_outputs

    def __call__(self, outputs: Float[Array, "outputs *data"]) -> Distribution:
        scale = jnp.broadcast_to(self.scale(outputs[1:]), outputs.shape[1:])
        return Normal(outputs[0], scale, validate_args=False)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_infinite(x, where=where)

    def started_at(
        self, x: Float[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        mean, variance = column_moments(x, weight)
        scale, raw = self.scale.started_at(variance)
        spread = jnp.full_like(mean, jnp.sqrt(jnp.mean(variance)))[None]
        return Start(
            eqx.tree_at(lambda likelihood: likelihood.scale, self, scale),
            jnp.concatenate([mean[None], raw]),
            jnp.concatenate([spread, jnp.ones_like(raw)]),
        )

    def options(self) -> dict[str, Any]:
        return {"scale": self.scale.per, "floor": self.scale.floor}
