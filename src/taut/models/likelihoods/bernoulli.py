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
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import BernoulliLogits, Distribution

from taut.core import option
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_mean

__all__ = ["Bernoulli"]

_LEAST_SHARE = 1e-3  # of ones in a column at the start, as in the code of Grathwohl et al. (2018)


class Bernoulli(AbstractLikelihood):
    """x in {0, 1} with one logit per cell."""

    name: ClassVar[str] = "bernoulli"
    discrete: ClassVar[bool] = True
    num_outputs = 1

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
                f"{option('likelihood', 'continuous-bernoulli')}, or {option('binarize', 'static')}"
                if np.nanmin(x, initial=0) >= 0 and np.nanmax(x, initial=0) <= 1
                else option("likelihood", "gaussian")
            ),
        )

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        share = jnp.clip(column_mean(x, weight), _LEAST_SHARE, 1 - _LEAST_SHARE)
        logits = (jnp.log(share) - jnp.log1p(-share))[None]
        return Start(self, logits, jnp.ones_like(logits))

    def options(self) -> dict[str, Any]:
        return {}


# The largest number of cells that share one logarithm; the product of their factors is below 2^16.
_LARGEST_GROUP = 16


@jax.custom_jvp
def _log_mass(x: Float[Array, "*data"], logits: Float[Array, "*data"]) -> Float[Array, ""]:
    """sum_d (x_d l_d - log(1 + e^l_d)) in nats.

    One reduction, into which XLA fuses the last step of the logits: where nothing is differentiated
    they are never written, be the particles ever so many.
    """
    x, logits = _grouped(x), _grouped(logits)
    return _less_log(x * logits - jnp.maximum(logits, 0), logits)


def _log_mass_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The logits are needed again, so they are written: x'l is a product of a matrix with a vector.

    Full precision is asked for because accelerators else round the logits to 10 bits.
    """
    (x, logits), (x_tangent, tangent) = primals, tangents
    linear = jnp.vdot(x, logits, precision=jax.lax.Precision.HIGHEST)
    slope = jnp.zeros((), logits.dtype)
    if not isinstance(tangent, SymbolicZero):
        slope += jnp.vdot(x, tangent, precision=jax.lax.Precision.HIGHEST)
        slope -= jnp.sum(jax.nn.sigmoid(logits) * tangent)
    if not isinstance(x_tangent, SymbolicZero):
        slope += jnp.sum(logits * x_tangent)
    return linear - _log_normalizer(logits), slope


_log_mass.defjvp(_log_mass_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _log_normalizer(logits: Float[Array, "*data"]) -> Float[Array, ""]:
    """sum_d log(1 + e^l_d) in nats, as max(l, 0) + log(1 + e^-|l|)."""
    logits = _grouped(logits)
    return -_less_log(-jnp.maximum(logits, 0), logits)


@_log_normalizer.defjvp
def _log_normalizer_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (logits,), (tangent,) = primals, tangents
    return _log_normalizer(logits), jnp.sum(jax.nn.sigmoid(logits) * tangent)


def _less_log(terms: Float[Array, "G n"], logits: Float[Array, "G n"]) -> Float[Array, ""]:
    """sum (terms - log(1 + e^-|l|)), in half the time that a logarithm for each cell takes on a CPU.

    The arguments of a group's logarithms are multiplied. What is carried is their product less one,
    (1 + a)(1 + b) - 1 = a + b + a b, which keeps the digits of cells that are all but certain.
    """
    zero = jnp.zeros((), logits.dtype)
    added, products = jax.lax.reduce(
        (terms, jnp.exp(-jnp.abs(logits))),
        (zero, zero),
        lambda a, b: (a[0] + b[0], a[1] + b[1] + a[1] * b[1]),
        (0,),
    )
    return jnp.sum(added - jnp.log1p(products))


def _grouped(cells: Float[Array, "*data"]) -> Float[Array, "G n"]:
    """(G, n), where a logarithm is shared by the G cells of a column."""
    group = max(g for g in range(1, _LARGEST_GROUP + 1) if cells.size % g == 0)
    return cells.reshape(group, -1)
