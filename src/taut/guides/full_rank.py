"""The full-rank Gaussian family, q(z) = N(z; mu, L L^T).

    relative    L = diag(s) (I + A / d)         what encoders learn
    plain       L = diag(s) + A                 A strictly lower triangular, s > 0

so that every positive definite covariance is reached once. A in units of s means correlations of one
size whatever the scale of z. Entries of A that are off by a cost d (d - 1) (a / d)^2 / 4 nats or so,
which the division by d keeps from growing with the dimensions, as s and A are learned at one rate. With
A = 0 it is the mean-field family, where an encoder starts.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.guides.abstract import AbstractFamily
from taut.networks import Linear

__all__ = ["FullRankGaussian"]


class FullRankGaussian(AbstractFamily):
    """Gaussian with any covariance; features are mean, log s and A by rows.

    Attributes:
        relative: whether A is in units of s / d.
    """

    name: ClassVar[str] = "full-rank"

    latent_dim: int = eqx.field(static=True)
    relative: bool = eqx.field(static=True, default=False)

    @property
    def num_features(self) -> int:
        return 2 * self.latent_dim + self.latent_dim * (self.latent_dim - 1) // 2

    def head(self, gaussian: Linear, *, key: PRNGKeyArray) -> Linear:
        return gaussian.widened(self.num_features)

    def __call__(self, features: Float[Array, " F"]) -> dist.Distribution:
        d = self.latent_dim
        loc, log_scale, lower = features[:d], features[d : 2 * d], features[2 * d :]
        scale, below = jnp.exp(log_scale), jnp.tril_indices(d, -1)
        if self.relative:
            unit = jnp.eye(d, dtype=features.dtype).at[below].set(lower / d)
            return dist.MultivariateNormal(loc, scale_tril=scale[:, None] * unit)
        return dist.MultivariateNormal(loc, scale_tril=jnp.diag(scale).at[below].set(lower))
