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
        if mask is not None:
            x = jnp.where(mask, x, jnp.zeros_like(x))
        linear = jnp.vdot(x.astype(logits.dtype), logits, precision=jax.lax.Precision.HIGHEST)
        # At -inf the normalizer of a cell is 0, and so are its derivatives.
        observed = logits if mask is None else jnp.where(mask, logits, -jnp.inf)
        return linear - _log_normalizer(observed)

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


# The largest number of cells that share one logarithm; the product of their factors is below 2^16.
_LARGEST_GROUP = 16


@jax.custom_jvp
def _log_normalizer(logits: Float[Array, "*data"]) -> Float[Array, ""]:
    """sum_d log(1 + e^l_d) in nats, in half the time that a logarithm for each cell takes on a CPU.

        log(1 + e^l) = max(l, 0) + log(1 + e^-|l|)

    The arguments of a group's logarithms are multiplied. What is carried is their product less one,
    (1 + a)(1 + b) - 1 = a + b + a b, which keeps the digits of cells that are all but certain.
    """
    group = max(g for g in range(1, _LARGEST_GROUP + 1) if logits.size % g == 0)
    grouped = logits.reshape(group, -1)
    zero = jnp.zeros((), logits.dtype)
    hinges, products = jax.lax.reduce(
        (jnp.maximum(grouped, 0), jnp.exp(-jnp.abs(grouped))),
        (zero, zero),
        lambda a, b: (a[0] + b[0], a[1] + b[1] + a[1] * b[1]),
        (0,),
    )
    return jnp.sum(hinges + jnp.log1p(products))


@_log_normalizer.defjvp
def _log_normalizer_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (logits,), (tangent,) = primals, tangents
    return _log_normalizer(logits), jnp.sum(jax.nn.sigmoid(logits) * tangent)
