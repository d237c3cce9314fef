"""Sufficient statistics of Gaussians: sums of 1, x - c and (x - c)(x - c)^T about reference points c.

    mean        = c + first / count
    covariance  = second / count - (first / count)(first / count)^T

The subtraction loses eps (c - mean)^2 / variance of its digits, so references are chosen near the means.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["GaussianStatistics", "per_row", "responsibilities"]


class GaussianStatistics(NamedTuple):
    """Expected sufficient statistics of K Gaussians over D columns.

    Attributes:
        total: sum of the responsibilities, (K,).
        first: sum of responsibility times x - c, (K, D).
        second: sum of responsibility times products of x - c: (K, D, D), (D, D) over all components,
            (K, D) of squares, or (K,) of squared lengths, as the covariance needs it.
        log_evidence: sum over rows of weight times log p(x), (); nats.
    """

    total: Float[Array, " K"]
    first: Float[Array, "K D"]
    second: Float[Array, "..."]
    log_evidence: Float[Array, ""]


def per_row(count: Float[Array, " K"], sums: Float[Array, "K ..."]) -> Float[Array, "K ..."]:
    """Sums divided by the count of their component; 0 where it holds nothing."""
    safe = jnp.where(count > 0, count, 1.0)
    return sums / safe.reshape(-1, *[1] * (sums.ndim - 1))


def responsibilities(
    log_joint: Float[Array, "N K"], weight: Float[Array, " N"]
) -> tuple[Float[Array, "N K"], Float[Array, ""]]:
    """Weighted responsibilities, and the weighted sum of the log-evidences.

    A row that no component can have belongs to none, and has a log-evidence of -inf.
    """
    top = jnp.max(log_joint, axis=1, keepdims=True)
    possible = top > -jnp.inf
    share = jnp.exp(log_joint - jnp.where(possible, top, 0.0))
    total = jnp.where(possible, jnp.sum(share, axis=1, keepdims=True), 1.0)
    log_evidence = jnp.where(weight > 0, (top + jnp.log(total))[:, 0], 0.0)
    return share * (weight[:, None] / total), weight @ log_evidence
