"""The vector-quantized autoencoder: P positions, each of which holds one of N codes.

    p(x | e_{k_1}, ..., e_{k_P}) N^-P,        k_p(x) = the code nearest to the encoder's p-th output

What is reported is log p(x | codes) - P log N, a lower bound of log p(x) under the uniform prior;
commitment and codebook updates shape the training and are no part of it. Source: van den Oord, Vinyals
and Kavukcuoglu, Neural discrete representation learning (2017), section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.centred import AbstractCentred
from taut.architectures.choices import at_least_one, counts_of, units_of
from taut.architectures.latents import parse_grid
from taut.core import AbstractPair, InputError
from taut.data import Schema
from taut.guides import QuantizedPair

__all__ = ["VQ"]


@dataclass(frozen=True)
class VQ(AbstractCentred):
    """A vector-quantized VAE, whose latents are codes from a learned codebook.

    Attributes:
        latents: `PxN`: P positions, each of which holds one of N codes.
        code_dim: number of dimensions of the vector that stands for a code.
        commitment: weight of the term that keeps the encoder's outputs near their codes, in nats per
            squared distance; beta in the paper.
        decay: weight of the past in the moving averages that the codes follow; gamma in the paper.
    """

    name: ClassVar[str] = "vq"
    default_inference: ClassVar[str] = "codebook-averages"

    latents: str = "8x64"
    code_dim: int = 16
    commitment: float = 0.25
    decay: float = 0.99

    def __post_init__(self):
        super().__post_init__()
        parse_grid(self.latents)
        at_least_one(self.code_dim, "code_dim")
        if not self.commitment > 0:
            raise InputError("a positive weight", f"{self.commitment}", "0.25", where="commitment")
        if not 0 <= self.decay < 1:
            raise InputError("a number in [0, 1)", f"{self.decay}", "0.99", where="decay")

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen.make_likelihood(schema)
        positions, codes = parse_grid(self.latents)
        size = positions * self.code_dim
        encoder_key, decoder_key, codes_key = jax.random.split(key, 3)
        return QuantizedPair(
            codebook=jax.random.normal(codes_key, (codes, self.code_dim)),
            positions=positions,
            decoder=chosen.make_latent_decoder(schema, likelihood, size, decoder_key),
            likelihood=likelihood,
            encoder=chosen.make_encoder(schema, size, encoder_key),
            data_shape=schema.shape,
            units=None if likelihood.discrete else units_of(schema),
            center=jnp.zeros(schema.shape),
            counts=counts_of(schema, likelihood),
            marked=schema.holes,
        )
