"""Logistic noise with tails that are right to thirty-one bits.

    P(|eps| > t) = v,  v = 2 / (1 + e^t)        |eps| = log(2 / v - 1)

`jax.random.logistic` takes a uniform with 23 bits in float32, so that it never passes 16 on either side.
Here one bit is the sign and the others are v, small v with all their digits: draws are finite and
reach 22 in float32 and 44 in float64.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt

__all__ = ["logistic_noise", "logistic_of_bits"]


def logistic_noise(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Independent draws from the standard logistic distribution, symmetric about 0."""
    wide = jnp.zeros(()).dtype == jnp.float64
    return logistic_of_bits(jax.random.bits(key, shape, dtype=jnp.uint64 if wide else jnp.uint32))


def logistic_of_bits(bits: UInt[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The draw that uniform bits stand for: the lowest is its sign, and few others a large size."""
    width = jnp.iinfo(bits.dtype).bits
    v = ((bits >> 1).astype(jnp.zeros(()).dtype) + 0.5) * 2.0 ** (1 - width)
    size = jnp.log(2.0 / v - 1.0)
    return jnp.where(bits & 1, size, -size)
