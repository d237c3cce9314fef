"""Poisson likelihood: a cell is a count with variance equal to its mean.

log p(x | l) = x l - e^l - log x!,        l = the log-rate
"""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import Distribution
from numpyro.distributions import Poisson as _Poisson

from taut.models.likelihoods.abstract import AbstractLikelihood
from taut.models.likelihoods.counts import CountMean, refuse_uncounted

__all__ = ["Poisson"]


class Poisson(AbstractLikelihood):
    """Counts with one log-rate per cell.

    Arguments:
        library: outputs are log-proportions of the row's total count instead (see `CountMean`).
        library_size: the total where no row is at hand.
    """

    name: ClassVar[str] = "poisson"
    log_mean: CountMean

    def __init__(self, *, library: bool = False, library_size: float = 1e4):
        self.log_mean = CountMean(library=library, library_size=library_size)

    @property
    def num_outputs(self) -> int:
        return 1

    @property
    def discrete(self) -> bool:
        return True

    def __call__(self, outputs: Float[Array, "1 *data"]) -> Distribution:
        return _poisson(self.log_mean(outputs[0]))

    def given(
        self,
        outputs: Float[Array, "1 *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Distribution:
        return _poisson(self.log_mean(outputs[0], x, mask))

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_uncounted(x, where=where)

    def options(self) -> dict[str, Any]:
        return {"library": self.log_mean.library, "library_size": self.log_mean.library_size}


def _poisson(log_mean: Float[Array, "*data"]) -> Distribution:
    return _Poisson(jnp.exp(log_mean), validate_args=False)
