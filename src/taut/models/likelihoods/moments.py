"""Mean and variance of each column, from weighted cells."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

__all__ = ["column_mean", "column_moments"]


def column_mean(
    x: Shaped[Array, "#N *data"], weight: Float[Array, "N *data"] | None
) -> Float[Array, "*data"]:
    """sum_n w_n x_n / sum_n w_n, and 0 in a column without weight."""
    if weight is None:
        return jnp.mean(x, axis=0)
    total = jnp.sum(weight, axis=0)
    return jnp.sum(weight * x, axis=0) / jnp.where(total > 0, total, 1.0)


def column_moments(
    x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None
) -> tuple[Float[Array, "*data"], Float[Array, "*data"]]:
    """Mean and variance, the square of the deviation averaged with the same weights."""
    mean = column_mean(x, weight)
    return mean, column_mean((x - mean) ** 2, weight)
