"""`AbstractCentred`: autoencoders whose networks start from the means of the training rows.

Where the decoder's cells are Bernoulli its outputs start at the log-odds of the training rows, and the
encoder reads rows less their mean; both are constants of the data, set by `start` (Tucker et al. 2017
and Grathwohl et al. 2018, both from their code).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.choices import log_odds_of
from taut.architectures.networked import AbstractAutoencoder
from taut.core import AbstractPair, Datum
from taut.data import Schema
from taut.models import AbstractLikelihood, LatentDecoder
from taut.models.likelihoods import Bernoulli

__all__ = ["AbstractCentred"]


@dataclass(frozen=True, kw_only=True)
class AbstractCentred(AbstractAutoencoder):
    """An encoder, a decoder of latents of any form, and a likelihood."""

    def make_latent_decoder(
        self, schema: Schema, likelihood: AbstractLikelihood, in_size: int, key: PRNGKeyArray,
        *, signed: bool = False, first_of_layers: bool = False,
    ) -> LatentDecoder:  # fmt: skip
        """The decoder of resolved choices, from latents of `in_size` numbers; see `LatentDecoder`."""
        network = self.make_decoder(schema, likelihood, in_size, key)
        offset = jnp.zeros(schema.size) if isinstance(likelihood, Bernoulli) else None
        return LatentDecoder(network, offset, signed, first_of_layers)

    @abstractmethod
    def constants(self, pair: AbstractPair) -> tuple[Any, Any]:
        """Where a pair keeps the encoder's centre and the decoder's offset."""

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair with the constants that its networks take from the training rows."""
        _, guide = pair.bind()
        reader = getattr(guide, "first", guide)
        center, offset = self.constants(pair)
        seen = jax.vmap(reader.read)(Datum(jnp.asarray(rows.x)))
        mask = None if rows.mask is None else jnp.asarray(rows.mask)
        mean = jnp.mean(seen, axis=0, where=mask)
        pair = eqx.tree_at(lambda p: self.constants(p)[0], pair, mean.astype(center.dtype))
        if offset is None:
            return pair
        log_odds = log_odds_of(rows).astype(offset.dtype)
        return eqx.tree_at(lambda p: self.constants(p)[1], pair, log_odds)
