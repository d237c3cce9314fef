"""Continuous Bernoulli likelihood: a cell is a real in [0, 1].

    log p(x | l) = x l - log((e^l - 1) / l),        l = the output, a logit

The Bernoulli formula with its normalizing constant, so that it is a density on [0, 1].

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli (NeurIPS 2019).
"""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from taut.distributions import ContinuousBernoulli as _ContinuousBernoulli
from taut.models.likelihoods.abstract import AbstractLikelihood, refuse_first

__all__ = ["ContinuousBernoulli"]


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
            remedy="the likelihood gaussian for reals, or scaling the data to [0, 1]",
        )

    def options(self) -> dict[str, Any]:
        return {}
