"""Discretized logistic likelihood: a cell is one of `levels` evenly spaced grey values in [0, 1].

    p(x | loc, scale) = probability that a logistic variable rounds to x, edge bins taking the tails

    loc   = (1 + outputs_0) / 2                      outputs in [-1, 1] cover the range of the data
    scale = floor / (levels - 1) + softplus(outputs_1) / 2

A mass function, so that bits per dimension mean something. The floor bounds the gradient at the edge
of a bin; the mass of a bin is at most one without it.

Source: see `taut.distributions.DiscretizedLogistic`.
"""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from taut.core import InputError, option
from taut.distributions import DiscretizedLogistic as _DiscretizedLogistic
from taut.distributions import grid
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_moments
from taut.models.likelihoods.scale import raw_of

__all__ = ["DiscretizedLogistic"]


class DiscretizedLogistic(AbstractLikelihood):
    """x in {0, 1/(levels-1), ..., 1}; outputs are the location and the raw scale of each cell.

    Arguments:
        levels: number of grey values, at least 2.
        floor: smallest scale, in bins. At the default of 1/16 a cell whose location is the middle of
            its bin has probability up to tanh(4) = 0.9993.
    """

    name: ClassVar[str] = "discretized-logistic"
    discrete: ClassVar[bool] = True
    num_outputs = 2
    levels: int = eqx.field(static=True)
    floor: float = eqx.field(static=True)

    def __init__(self, *, levels: int, floor: float = 0.0625):
        if levels < 2:
            raise InputError("at least 2 levels", str(levels), "levels=256", where="levels")
        if not floor > 0:
            raise InputError(
                "a positive floor",
                str(floor),
                option("likelihood_floor", 0.0625),
                where=option("likelihood_floor"),
            )
        self.levels, self.floor = levels, float(floor)

    def __call__(self, outputs: Float[Array, "2 *data"]) -> Distribution:
        scale = self.floor / (self.levels - 1) + jax.nn.softplus(outputs[1]) / 2
        return _DiscretizedLogistic(
            0.5 + 0.5 * outputs[0], jnp.log(scale), levels=self.levels, validate_args=False
        )

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_first(
            ~(np.isnan(x) | grid(self.levels)(x)),
            x,
            where=where,
            expected=f"k/{self.levels - 1} with k = 0..{self.levels - 1} ({self.levels} levels)",
            remedy=(
                f"{option('likelihood', 'continuous-bernoulli')} for reals in [0, 1], "
                f"{option('likelihood', 'gaussian')} for others"
            ),
        )

    def started_at(
        self, x: Float[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        mean, variance = column_moments(x, weight)
        bin_ = 1 / (self.levels - 1)
        scale = jnp.maximum(jnp.sqrt(3 * variance) / math.pi, bin_)
        raw = raw_of(2 * jnp.maximum(scale - self.floor * bin_, self.floor * bin_))
        spread = jnp.full_like(mean, 2 * jnp.sqrt(jnp.mean(variance)))
        outputs = jnp.stack([2 * mean - 1, raw])
        return Start(self, outputs, jnp.stack([spread, jnp.ones_like(raw)]))

    def options(self) -> dict[str, Any]:
        return {"levels": self.levels, "floor": self.floor}
