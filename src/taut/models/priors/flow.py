"""A flow as a prior: bijections over a standard normal base.

    log p(z) = log N(f(z); 0, I) + log |det df/dz|                 [nats], exact

A bound asks for the density at a guide's draws, so layers are turned to have that direction cheap.
The KL from a guide to it has no closed form; bounds use log p(z) at their draws.

Source: Chen et al., Variational lossy autoencoder (ICLR 2017), section 3.2; Huang et al., Learnable
explicit density for continuous latent space (2017).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray

from taut.models.priors.abstract import AbstractPrior
from taut.transforms import Chain, Transformed, make_layers

__all__ = ["FlowPrior"]


class FlowPrior(AbstractPrior):
    """Layers of z over N(0, I).

    Arguments:
        latent_dim: number of dimensions D.
        layers: what `make_layers` takes, such as `affine-coupling:4`.
        hidden, activation: of networks inside layers.
        key: of their parameters.

    Attributes:
        chain: bijections, z first.
    """

    name: ClassVar[str] = "flow"

    chain: Chain

    def __init__(
        self,
        latent_dim: int,
        layers: str = "affine-coupling:4",
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        key: PRNGKeyArray,
    ):
        made = make_layers(
            layers, latent_dim, key=key, hidden=hidden, activation=activation, where="prior"
        )
        self.chain = Chain(made)

    def __call__(self) -> Any:
        dim = self.chain.z_shape[0]
        return Transformed(dist.Normal(jnp.zeros(dim), jnp.ones(dim)).to_event(1), self.chain)
