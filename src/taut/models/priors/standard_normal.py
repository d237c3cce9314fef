"""The standard normal prior, p(z) = N(0, I)."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist

from taut.models.priors.abstract import AbstractPrior

__all__ = ["StandardNormal"]


class StandardNormal(AbstractPrior):
    """N(0, I) in `latent_dim` dimensions; nothing is learned."""

    name: ClassVar[str] = "standard-normal"

    latent_dim: int = eqx.field(static=True)

    def __call__(self) -> Any:
        loc, scale = jnp.zeros(self.latent_dim), jnp.ones(self.latent_dim)
        return dist.Normal(loc, scale, validate_args=False).to_event(1)
