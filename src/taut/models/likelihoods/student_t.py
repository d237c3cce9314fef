"""Student's t likelihood: a cell is any real, now and then far from its location.

    log p(x | mu, s, v) = log Gamma((v + 1) / 2) - log Gamma(v / 2) - log(v pi) / 2 - log s
                          - (v + 1) / 2 log(1 + ((x - mu) / s)^2 / v)

The degrees of freedom v = 2 + softplus(raw) are learned for the model as a whole; above 2 the variance
s^2 v / (v - 2) is finite.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution
from numpyro.distributions import StudentT as _StudentT

from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_infinite
from taut.models.likelihoods.moments import column_moments
from taut.models.likelihoods.scale import Scale, positive, raw_of

__all__ = ["StudentT"]

_LOWEST_DF = 2.0
_FIRST_DF = 10.0  # between the Cauchy's tails and a Gaussian's, so that either is near


class StudentT(AbstractLikelihood):
    """Real cells; outputs are the location and, where scale is `datum`, the raw scale.

    Arguments:
        shape: shape of one row of data.
        scale: what has a scale of its own: the whole `model`, each `dimension`, or each cell of a
            `datum`, where the decoder gives it.
        floor: smallest scale, in units of the data; a cell's log-density is below -log(floor) - 0.91
            nats.
    """

    name: ClassVar[str] = "student-t"
    discrete: ClassVar[bool] = False
    scale: Scale
    raw_df: Float[Array, ""]
    num_outputs: int = eqx.field(static=True)

    def __init__(self, *, shape: tuple[int, ...], scale: str = "model", floor: float = 1e-3):
        self.scale = Scale(scale, shape=shape, floor=floor)
        self.num_outputs = 1 + self.scale.num_outputs
        self.raw_df = raw_of(_FIRST_DF - _LOWEST_DF)

    def __call__(self, outputs: Float[Array, "outputs *data"]) -> Distribution:
        df = positive(self.raw_df, floor=_LOWEST_DF)
        loc, scale, df = jnp.broadcast_arrays(outputs[0], self.scale(outputs[1:]), df)
        return _StudentT(df, loc, scale, validate_args=False)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_infinite(x, where=where)

    def started_at(
        self, x: Float[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        mean, variance = column_moments(x, weight)
        scale, raw = self.scale.started_at(variance * (1 - _LOWEST_DF / _FIRST_DF))
        spread = jnp.full_like(mean, jnp.sqrt(jnp.mean(variance)))[None]
        return Start(
            eqx.tree_at(lambda likelihood: likelihood.scale, self, scale),
            jnp.concatenate([mean[None], raw]),
            jnp.concatenate([spread, jnp.ones_like(raw)]),
        )

    def options(self) -> dict[str, Any]:
        return {"scale": self.scale.per, "floor": self.scale.floor}
