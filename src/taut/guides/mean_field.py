"""The mean-field Gaussian family, q(z) = prod_j N(z_j; mu_j, exp(rho_j)^2)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.guides.abstract import AbstractFamily
from taut.networks import Linear

__all__ = ["MeanFieldGaussian"]


class MeanFieldGaussian(AbstractFamily):
    """Independent Gaussians; features are the means and the logarithms of the scales."""

    name: ClassVar[str] = "mean-field"

    latent_dim: int = eqx.field(static=True)

    @property
    def num_features(self) -> int:
        return 2 * self.latent_dim

    def head(self, gaussian: Linear, *, key: PRNGKeyArray) -> Linear:
        return gaussian

    def __call__(self, features: Float[Array, " F"]) -> dist.Distribution:
        loc, log_scale = jnp.split(features, 2)
        return dist.Normal(loc, jnp.exp(log_scale)).to_event(1)
