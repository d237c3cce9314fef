"""Zero-inflated counts: a count, or a zero for another reason.

    p(x) = g 1[x = 0] + (1 - g) p_base(x),        logit g = the last output

The base is a Poisson or a negative binomial with its own outputs and options.

Source: Lambert, Zero-inflated Poisson regression (Technometrics 1992), section 2.
"""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import Distribution, ZeroInflatedDistribution

from taut.models.likelihoods.abstract import AbstractLikelihood
from taut.models.likelihoods.counts import AbstractCounts
from taut.models.likelihoods.negative_binomial import NegativeBinomial
from taut.models.likelihoods.poisson import Poisson

__all__ = ["ZeroInflatedNegativeBinomial", "ZeroInflatedPoisson"]


class AbstractZeroInflated(AbstractLikelihood):
    """Counts; outputs are those of the base and the logit of an extra zero."""

    discrete: ClassVar[bool] = True
    num_outputs = 1 + AbstractCounts.num_outputs
    base: AbstractCounts

    def __call__(self, outputs: Float[Array, "outputs *data"]) -> Distribution:
        return _inflated(self.base(outputs[:-1]), outputs[-1])

    def given(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Distribution:
        return _inflated(self.base.given(outputs[:-1], x, mask), outputs[-1])

    def check(self, x: np.ndarray, *, where: str) -> None:
        self.base.check(x, where=where)

    def options(self) -> dict[str, Any]:
        return self.base.options()


class ZeroInflatedPoisson(AbstractZeroInflated):
    """Counts; outputs are the log-rate and the logit of an extra zero.

    Arguments:
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`.
    """

    name: ClassVar[str] = "zero-inflated-poisson"

    def __init__(self, *, library: bool = False, library_size: float = 1e4):
        self.base = Poisson(library=library, library_size=library_size)


class ZeroInflatedNegativeBinomial(AbstractZeroInflated):
    """Counts; outputs are the log-mean and the logit of an extra zero.

    Arguments:
        shape: shape of one row of data.
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`.
        floor: smallest inverse dispersion r; bounds the variance by mu + mu^2 / floor.
    """

    name: ClassVar[str] = "zero-inflated-negative-binomial"

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        library: bool = False,
        library_size: float = 1e4,
        floor: float = 1e-3,
    ):
        self.base = NegativeBinomial(
            shape=shape, library=library, library_size=library_size, floor=floor
        )


def _inflated(base: Distribution, logit: Float[Array, "*data"]) -> Distribution:
    return ZeroInflatedDistribution(base, gate_logits=logit, validate_args=False)
