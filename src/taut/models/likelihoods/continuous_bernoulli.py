"""Continuous Bernoulli likelihood: a cell is a real in [0, 1].

    log p(x | l) = x l - log((e^l - 1) / l),        l = the output, a logit

The Bernoulli formula with its normalizing constant, so that it is a density on [0, 1].

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli (NeurIPS 2019).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from taut.core import option
from taut.distributions import ContinuousBernoulli as _ContinuousBernoulli
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_mean

__all__ = ["ContinuousBernoulli"]

_LEAST_MEAN = 0.01  # of a column at the start, whose logit is -100 there
_HALVINGS = 60  # of the bracket of a logit, past the last bit


class ContinuousBernoulli(AbstractLikelihood):
    """x in [0, 1] with one logit per cell."""

    name: ClassVar[str] = "continuous-bernoulli"
    discrete: ClassVar[bool] = False
    num_outputs = 1

    def __call__(self, outputs: Float[Array, "1 *data"]) -> Distribution:
        return _ContinuousBernoulli(outputs[0], validate_args=False)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_first(
            (x < 0) | (x > 1),
            x,
            where=where,
            expected="a number in [0, 1] in every cell of a continuous Bernoulli",
            remedy=f"{option('likelihood', 'gaussian')} for reals, or scaling the data to [0, 1]",
        )

    def started_at(
        self, x: Float[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        mean = jnp.clip(column_mean(x, weight), _LEAST_MEAN, 1 - _LEAST_MEAN)

        def halved(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            below = self.mean(middle[None]) < mean
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        # The mean of a logit -l is below 1 / l.
        ends = jnp.full_like(mean, -1 / _LEAST_MEAN), jnp.full_like(mean, 1 / _LEAST_MEAN)
        low, high = jax.lax.fori_loop(0, _HALVINGS, halved, ends)
        logits = (low + high)[None] / 2
        return Start(self, logits, jnp.ones_like(logits))

    def options(self) -> dict[str, Any]:
        return {}
