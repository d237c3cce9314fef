"""A class that is enumerated and Gaussian latents within it: the model M2 without labels.

    p(y) p(z) p(x | y, z),        q(y | x) q(z | x, y),        y in C classes

The sum over y is exact, so that a step decodes every row once for each class and draw. Source: Kingma,
Mohamed, Rezende and Welling, Semi-supervised learning with deep generative models (2014), model M2.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.centred import AbstractCentred
from taut.architectures.choices import at_least_one, counts_of, units_of
from taut.core import AbstractPair, InputError, Pair, option
from taut.data import Schema
from taut.guides import AmortizedGuide, StratifiedGaussian
from taut.models import LatentVariableModel, ProductPrior, StandardNormal

__all__ = ["MixtureVAE"]


@dataclass(frozen=True)
class MixtureVAE(AbstractCentred):
    """A VAE with a class beside its Gaussian latents, for clustering without labels.

    Attributes:
        components: number of classes.
        latent_dim: number of Gaussian latent dimensions.
    """

    name: ClassVar[str] = "mixture-vae"

    components: int = 10
    latent_dim: int = 16

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self.latent_dim, "latent_dim")
        if self.components < 2:
            raise InputError(
                "at least two classes", f"{self.components}",
                f"10, or {option('model', 'vae')} without classes",
                where="components",
            )  # fmt: skip

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen.make_likelihood(schema)
        units = None if likelihood.discrete else units_of(schema)
        encoder_key, decoder_key = jax.random.split(key)
        family = StratifiedGaussian(self.components, self.latent_dim)
        prior = ProductPrior(self.components, StandardNormal(self.latent_dim))
        decoder = chosen.make_latent_decoder(schema, likelihood, family.latent_dim, decoder_key)
        model = LatentVariableModel(prior, decoder, likelihood, schema.shape, units)
        encoder = chosen.make_encoder(schema, family.num_features, encoder_key)
        guide = AmortizedGuide(
            encoder, family, units, counts_of(schema), jnp.zeros(schema.shape), schema.holes
        )
        return Pair(model, guide)
