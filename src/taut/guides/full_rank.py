"""The full-rank Gaussian family, q(z) = N(z; mu, L L^T).

L is lower triangular with the exponential of its features on the diagonal, so every positive definite
covariance is reached once.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from taut.guides.abstract import AbstractFamily

__all__ = ["FullRankGaussian"]


class FullRankGaussian(AbstractFamily):
    """Gaussian with any covariance; features are mean, log-diagonal and strict lower triangle of L."""

    name: ClassVar[str] = "full-rank"

    latent_dim: int = eqx.field(static=True)

    @property
    def num_features(self) -> int:
        return 2 * self.latent_dim + self.latent_dim * (self.latent_dim - 1) // 2

    def __call__(self, features: Float[Array, " F"]) -> dist.Distribution:
        d = self.latent_dim
        loc, log_diagonal, lower = features[:d], features[d : 2 * d], features[2 * d :]
        scale_tril = jnp.diag(jnp.exp(log_diagonal)).at[jnp.tril_indices(d, -1)].set(lower)
        return dist.MultivariateNormal(loc, scale_tril=scale_tril)
