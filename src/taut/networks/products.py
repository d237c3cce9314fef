"""Matrix products of networks, in the precision that JAX's configuration asks for.

Under `jax.default_matmul_precision("bfloat16")` the factors are rounded to bfloat16 (8 significant
bits) and the products added up in float32, on every device; XLA itself obeys that setting on
accelerators only. Everything else - biases, activations, likelihoods, priors, the optimizer - keeps
its own precision.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["product", "rounded"]


def product(a: Float[Array, "... i"], b: Float[Array, "i o"]) -> Float[Array, "... o"]:
    """a b, added up and returned in the precision of `a`."""
    return jnp.matmul(rounded(a), rounded(b), preferred_element_type=a.dtype)


def rounded(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """A factor in the precision that products are made in."""
    asked = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    low = asked == "bfloat16"
    return x.astype(jnp.bfloat16) if low else x
