"""The low-rank Gaussian family, q(z) = N(mu, diag(s)^2 + U U^T).

It has d (r + 2) features where the full-rank family has d (d + 3) / 2. U is measured in units of s,
so that features of one size mean correlations of one size whatever the scale of z (Ong, Nott and
Smith 2018 use the same family without that scaling).
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.guides.abstract import AbstractFamily
from taut.networks import Linear

__all__ = ["LowRankGaussian"]

_START = 0.1  # of the usual size of the weights that lead to U


class LowRankGaussian(AbstractFamily):
    """Gaussian with a diagonal plus rank-r covariance; features are mean, log s, and U / s by rows."""

    name: ClassVar[str] = "low-rank"

    latent_dim: int = eqx.field(static=True)
    rank: int = eqx.field(static=True, default=4)

    @property
    def num_features(self) -> int:
        return self.latent_dim * (self.rank + 2)

    def head(self, gaussian: Linear, *, key: PRNGKeyArray) -> Linear:
        """Near those Gaussians: at U = 0 the ELBO has no slope in U, whose sign is free."""
        rest = Linear(gaussian.weight.shape[0], self.latent_dim * self.rank, key=key)
        zero, small = jnp.zeros_like(rest.bias), jnp.full_like(rest.bias, _START)
        rest = rest.started_at(zero, small)
        wide = gaussian.widened(self.num_features)
        weight = wide.weight.at[:, 2 * self.latent_dim :].set(rest.weight)
        return eqx.tree_at(lambda la: la.weight, wide, weight)

    def __call__(self, features: Float[Array, " F"]) -> dist.Distribution:
        d = self.latent_dim
        loc, scale = features[:d], jnp.exp(features[d : 2 * d])
        factor = scale[:, None] * features[2 * d :].reshape(d, self.rank)
        return dist.LowRankMultivariateNormal(loc, factor, scale**2)
