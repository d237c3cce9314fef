"""What the missing cells of a row are, given its observed ones.

    E[x_m | x_o] = sum_k r_k mu_k,    Var(x_m | x_o) = sum_k r_k (v_k + (mu_k - E[x_m | x_o])^2)

with r_k = p(z = e_k | x_o), and mu_k and v_k the mean and variance of a cell given x_o and component k.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["Given", "given_components"]


class Given(NamedTuple):
    """p(x | x_o) of a row, cell by cell; exact. An observed cell is what was observed.

    Attributes:
        mean: E[x | x_o], of the row's shape.
        mode: the most probable value of a cell with values of its own; the mean of a number.
        deviation: standard deviation, of the row's shape; 0 where a cell was observed.
    """

    mean: Float[Array, "..."]
    mode: Float[Array, "..."]
    deviation: Float[Array, "..."]


def given_components(
    r: Float[Array, "K ..."], means: Float[Array, "K ..."], variances: Float[Array, "K ..."]
) -> Given:
    """Of a mixture with responsibilities r, or those of each cell; the mode is the mean."""

    def averaged(values: Float[Array, "K ..."]) -> Float[Array, "..."]:
        return jnp.tensordot(r, values, axes=1) if r.ndim == 1 else jnp.sum(r * values, axis=0)

    mean = averaged(means)
    variance = averaged(variances + (means - mean) ** 2)
    return Given(mean, mean, jnp.sqrt(variance))
