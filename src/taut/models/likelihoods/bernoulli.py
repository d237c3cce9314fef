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
        """log p(x | outputs) in nats; exact for x in {0, 1}."""
        x, logits = x.astype(outputs.dtype), outputs[0]
        if mask is not None:
            # At x = 0 and the lowest logit a cell's terms are 0, and so are their derivatives.
            x = jnp.where(mask, x, 0)
            logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
        return _log_mass(x, logits)

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
def _log_mass(x: Float[Array, "*data"], logits: Float[Array, "*data"]) -> Float[Array, ""]:
    """sum_d (x_d l_d - log(1 + e^l_d)) in nats, in half the time of a logarithm for each cell.

        log(1 + e^l) = max(l, 0) + log(1 + e^-|l|)

    The arguments of a group's logarithms are multiplied. What is carried is their product less one,
    (1 + a)(1 + b) - 1 = a + b + a b, which keeps the digits of cells that are all but certain. All
    is one reduction, into which XLA fuses what the logits are the last step of: over many particles
    they are never written.
    """
    group = max(g for g in range(1, _LARGEST_GROUP + 1) if logits.size % g == 0)
    x, logits = x.reshape(group, -1), logits.reshape(group, -1)
    zero = jnp.zeros((), logits.dtype)
    linear, products = jax.lax.reduce(
        (x * logits - jnp.maximum(logits, 0), jnp.exp(-jnp.abs(logits))),
        (zero, zero),
        lambda a, b: (a[0] + b[0], a[1] + b[1] + a[1] * b[1]),
        (0,),
    )
    return jnp.sum(linear - jnp.log1p(products))


@_log_mass.defjvp
def _log_mass_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (x, logits), (x_tangent, tangent) = primals, tangents
    slope = (x - jax.nn.sigmoid(logits)) * tangent + logits * x_tangent
    return _log_mass(x, logits), jnp.sum(slope)
