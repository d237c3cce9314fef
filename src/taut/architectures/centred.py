"""`AbstractCentred`: autoencoders whose encoder reads rows less the mean of the training rows.

Where the decoder's cells are Bernoulli its outputs start at the log-odds of the training rows by a
constant beside the network; all are set by `start` (Tucker et al. 2017 and Grathwohl et al. 2018, both
from their code).
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.networked import AbstractAutoencoder
from taut.core import AbstractPair, Datum
from taut.data import Schema
from taut.models import AbstractLikelihood, LatentDecoder
from taut.models.likelihoods import Bernoulli
from taut.models.likelihoods.moments import column_mean

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

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair with all that its networks take from the training rows."""
        pair = super().start(pair, rows, schema=schema)
        guide = pair.bind()[1]
        seen = jax.vmap(getattr(guide, "first", guide).read)(Datum(jnp.asarray(rows.x)))
        weight = None
        if rows.mask is not None:
            mask = jnp.asarray(rows.mask)
            seen, weight = jnp.where(mask, seen, 0), mask.astype(seen.dtype)
        mean = column_mean(seen, weight).astype(self._reader(pair).center.dtype)
        return eqx.tree_at(lambda p: self._reader(p).center, pair, mean)

    def _reader(self, pair: Any) -> Any:
        """Where a pair keeps what its encoder reads."""
        return self.parts(pair)[2]
