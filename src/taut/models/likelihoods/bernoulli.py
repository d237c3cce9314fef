"""Bernoulli likelihood: a cell is 0 or 1.

    log p(x | l) = x l - log(1 + e^l),        l = the output, a logit

A mass function on {0, 1} and on nothing else: summed over grey values in [0, 1] the same formula is no
density, for its integral over them is not one (Loaiza-Ganem and Cunningham 2019, section 3). Grey
values are therefore refused.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import BernoulliLogits, Distribution

from taut.models.likelihoods.abstract import AbstractLikelihood, refuse_first

__all__ = ["Bernoulli"]


class Bernoulli(AbstractLikelihood):
    """x in {0, 1} with one logit per cell."""

    name: ClassVar[str] = "bernoulli"

    @property
    def num_outputs(self) -> int:
        return 1

    @property
    def discrete(self) -> bool:
        return True

    def __call__(self, outputs: Float[Array, "1 *data"]) -> Distribution:
        return BernoulliLogits(outputs[0], validate_args=False)

    def log_prob(
        self,
        x: Shaped[Array, "*data"],
        outputs: Float[Array, "1 *data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Float[Array, ""]:
        """log p(x | outputs) as x'l - sum log(1 + e^l), in nats; exact for x in {0, 1}.

        Over many particles of one datum, x'l is one product of a matrix with a vector. Full precision
        is asked for because accelerators else round the logits to 10 bits.
        """
        logits = outputs[0]
        log_normalizer = _softplus(logits)
        if mask is not None:
            x = jnp.where(mask, x, jnp.zeros_like(x))
            log_normalizer = jnp.where(mask, log_normalizer, 0.0)
        linear = jnp.vdot(x.astype(logits.dtype), logits, precision=jax.lax.Precision.HIGHEST)
        return linear - jnp.sum(log_normalizer)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_first(
            ~(np.isnan(x) | (x == 0) | (x == 1)),
            x,
            where=where,
            expected="0 or 1 in every cell of a Bernoulli",
            remedy=(
                "the likelihood discretized-logistic for grey levels, continuous-bernoulli for reals "
                "in [0, 1], or a binarization"
            ),
        )

    def options(self) -> dict[str, Any]:
        return {}


def _softplus(logits: Float[Array, "*data"]) -> Float[Array, "*data"]:
    """log(1 + e^l). Either branch is analytic, so that derivatives of every order are right at 0.

    Half the time of `jax.nn.softplus` and its gradient on a CPU.
    """
    positive = logits >= 0
    decay = jnp.exp(jnp.where(positive, -logits, logits))
    return jnp.where(positive, logits, 0.0) + jnp.log1p(decay)
