"""Zero-inflated counts: a count, or a zero for another reason.

    p(x) = g 1[x = 0] + (1 - g) p_base(x),        logit g = the last output

The base is a Poisson or a negative binomial with its own outputs and options. With `library` the means
of the base sum to the row's total T, so that those of the counts sum to less:

    E[sum_d x_d | T] = T sum_d (1 - g_d) share_d

Source: Lambert, Zero-inflated Poisson regression (Technometrics 1992), section 2.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import Distribution, ZeroInflatedDistribution
from scipy.special import expit

from taut.models.likelihoods.abstract import AbstractLikelihood, Start
from taut.models.likelihoods.counts import AbstractCounts
from taut.models.likelihoods.moments import column_mean
from taut.models.likelihoods.negative_binomial import NegativeBinomial
from taut.models.likelihoods.poisson import Poisson

__all__ = ["ZeroInflatedNegativeBinomial", "ZeroInflatedPoisson"]

_LEAST_GATE = 0.01  # at the start, where its logit still has a gradient


class AbstractZeroInflated(AbstractLikelihood):
    """Counts; outputs are those of the base and the logit of an extra zero."""

    discrete: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    num_outputs = 1 + AbstractCounts.num_outputs
    base: AbstractCounts

    @property
    def given_totals(self) -> bool:
        return self.base.given_totals

    def __call__(self, outputs: Float[Array, "outputs *data"]) -> Distribution:
        return _inflated(self.base(outputs[:-1]), outputs[-1])

    def given(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Distribution:
        return _inflated(self.base.given(outputs[:-1], x, mask), outputs[-1])

    def of_row(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> "AbstractZeroInflated":
        return self._of(self.base.of_row(outputs[:-1], x, mask))

    @property
    def usual_total(self) -> float:
        return self.base.usual_total

    def at_total(self, total: Float[Array, ""]) -> "AbstractZeroInflated":
        return self._of(self.base.at_total(total))

    def total_of(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> Float[Array, ""]:
        return self.base.total_of(outputs[:-1], x, mask)

    def means_at(
        self,
        outputs: Float[Array, "outputs *data"],
        total: Float[Array, ""],
        mask: Bool[Array, "*data"],
    ) -> Float[Array, "*data"]:
        return self.base.means_at(outputs[:-1], total, mask)

    def rates(
        self,
        means: Float[np.ndarray, "N *data"],
        outputs: Float[np.ndarray, "N outputs *data"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "N *data"]:
        another = generator.random(means.shape) < expit(outputs[:, -1])
        return np.where(another, 0.0, self.base.rates(means, outputs[:, :-1], generator))

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        """One step of EM from the base alone: extra zeros are those that it does not account for."""
        weight = jnp.ones(x.shape) if weight is None else weight
        zero = jnp.where(x == 0, weight, 0)

        def of_base(start: Start) -> Float[Array, "N *data"]:
            def row(x: Any, w: Any) -> Any:
                base = start.likelihood.given(start.outputs, x, w > 0)
                return jnp.exp(base.log_prob(jnp.zeros_like(x)))

            return jax.vmap(row)(x, weight)

        chance = of_base(self.base.started_at(x, weight))
        zeros, expected = column_mean(x == 0, weight), column_mean(chance, weight)
        gate = (zeros - expected) / jnp.maximum(1 - expected, _LEAST_GATE)
        gate = jnp.clip(gate, _LEAST_GATE, 1 - _LEAST_GATE)
        extra = zero * gate / (gate + (1 - gate) * chance)
        start = self.base.started_at(x, weight - extra)
        gate = jnp.clip(column_mean(extra, weight), _LEAST_GATE, 1 - _LEAST_GATE)
        logit = (jnp.log(gate) - jnp.log1p(-gate))[None]
        return Start(
            eqx.tree_at(lambda likelihood: likelihood.base, self, start.likelihood),
            jnp.concatenate([start.outputs, logit]),
            jnp.concatenate([start.spread, jnp.ones_like(logit)]),
        )

    def check(self, x: np.ndarray, *, where: str) -> None:
        self.base.check(x, where=where)

    def options(self) -> dict[str, Any]:
        return self.base.options()

    def _of(self, base: AbstractCounts) -> "AbstractZeroInflated":
        return eqx.tree_at(lambda likelihood: likelihood.base, self, base)


class ZeroInflatedPoisson(AbstractZeroInflated):
    """Counts; outputs are the log-rate and the logit of an extra zero.

    Arguments:
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`; None for totals of training
            rows.
    """

    name: ClassVar[str] = "zero-inflated-poisson"

    def __init__(self, *, library: bool = False, library_size: float | None = None):
        self.base = Poisson(library=library, library_size=library_size)


class ZeroInflatedNegativeBinomial(AbstractZeroInflated):
    """Counts; outputs are the log-mean and the logit of an extra zero.

    Arguments:
        shape: shape of one row of data.
        library: model the shares of a row's total count, which is given, in place of the counts.
        library_size: total count of the rows that are drawn, with `library`; None for totals of training
            rows.
        floor: smallest inverse dispersion r; bounds the variance by mu + mu^2 / floor.
    """

    name: ClassVar[str] = "zero-inflated-negative-binomial"

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        library: bool = False,
        library_size: float | None = None,
        floor: float = 1e-3,
    ):
        self.base = NegativeBinomial(
            shape=shape, library=library, library_size=library_size, floor=floor
        )


def _inflated(base: Distribution, logit: Float[Array, "*data"]) -> Distribution:
    return ZeroInflatedDistribution(base, gate_logits=logit, validate_args=False)
