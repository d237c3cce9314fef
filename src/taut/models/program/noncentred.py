"""Latents as location and scale times standard numbers, where the scale moves with other latents.

    theta = l + s e,        log |dtheta/de| = log s        for theta ~ Normal(l, s) and relatives

Where s is small, theta is near l, and p(theta, s) is a funnel that no Gaussian and no step of one length
fits; e and s are independent a priori. Where data tell theta from l, theta is the better coordinate.

Source: Papaspiliopoulos, Roberts and Skold, A general framework for the parametrization of hierarchical
models (2007).
"""

from typing import Any

import jax.numpy as jnp
from numpyro.distributions import (
    Cauchy,
    Distribution,
    ExpandedDistribution,
    Gumbel,
    Independent,
    Laplace,
    Logistic,
    Normal,
    StudentT,
)
from numpyro.distributions.transforms import AffineTransform

__all__ = ["noncentring"]

_FAMILIES = (Normal, StudentT, Cauchy, Laplace, Logistic, Gumbel)


def noncentring(fn: Distribution) -> AffineTransform | None:
    """The map from e to theta, of the shape of a value; None where there are no location and scale."""
    inner: Any = fn
    while isinstance(inner, (ExpandedDistribution, Independent)):
        inner = inner.base_dist
    if not isinstance(inner, _FAMILIES):
        return None
    parts: Any = (inner.loc, inner.scale)
    loc, scale = (jnp.broadcast_to(part, fn.shape()) for part in parts)
    return AffineTransform(loc, scale)
