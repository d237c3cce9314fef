"""`AbstractNetworked`: what architectures with an encoder and a decoder have in common.

Networks and likelihood are chosen by name. Where the decoder's cells are Bernoulli its outputs start at
the log-odds of the training rows, and the encoder reads rows less their mean; both are constants of the
data, set by `start` (Tucker et al. 2017 and Grathwohl et al. 2018, both from their code).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.choices import (
    at_least_one,
    known,
    log_odds_of,
    plain,
    refuse_users_parts,
)
from taut.core import AbstractPair, Datum, InputError
from taut.data import Schema
from taut.models import LatentDecoder, choose_likelihood, make_likelihood
from taut.models.likelihoods import AbstractLikelihood
from taut.networks import ACTIVATIONS, NETWORKS

__all__ = ["AbstractNetworked"]


@dataclass(frozen=True)
class AbstractNetworked(AbstractArchitecture):
    """An encoder, a decoder and a likelihood.

    Attributes:
        network: name of the kind of encoder and decoder.
        hidden: widths of the encoder's hidden layers, reversed of the decoder's; None for the
            architecture's own.
        activation: elementwise function between layers; None for the network's own.
        likelihood: name; None chooses from the data.
        likelihood_options: keyword options of the likelihood.
    """

    default_hidden: ClassVar[tuple[int, ...] | None] = None  # None for the network's own

    network: str = "mlp"
    hidden: Sequence[int] | None = None
    activation: str | None = None
    likelihood: str | None = None
    likelihood_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.hidden is not None:
            object.__setattr__(self, "hidden", tuple(self.hidden))
        for width in self.hidden or ():
            at_least_one(width, "hidden")
        known(self.network, NETWORKS, "network")
        if self.activation is not None:
            known(self.activation, ACTIVATIONS, "activation")
            if NETWORKS[self.network].activation is None:
                raise InputError(
                    f"no activation with the network {self.network}, whose gates stand in for one",
                    repr(self.activation), "leaving it out", where="activation",
                )  # fmt: skip

    def resolved(self, schema: Schema) -> tuple["AbstractNetworked", dict[str, str]]:
        network = NETWORKS[self.network]
        hidden = None if self.hidden is None else tuple(self.hidden)
        if hidden is None and self.network == "mlp":
            hidden = self.default_hidden
        chosen = replace(
            self,
            hidden=network.widths(schema.shape, hidden),
            activation=self.activation or network.activation,
        )
        if self.likelihood is not None:
            return chosen, {}
        name, reason = choose_likelihood(
            kind=schema.kind, support=schema.support, levels=schema.levels
        )
        return replace(chosen, likelihood=name), {"likelihood": reason}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        self.resolved(schema)[0].make_likelihood(schema).check(x, where=where)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **{f.name: plain(getattr(self, f.name)) for f in fields(self)}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "AbstractNetworked":
        """The inverse of `to_dict`."""
        given = {k: v for k, v in content.items() if k != "name"}
        refuse_users_parts(given)
        return cls(**given)

    def make_likelihood(self, schema: Schema) -> AbstractLikelihood:
        """The likelihood of resolved choices."""
        return make_likelihood(
            self.likelihood or "", shape=schema.shape, levels=schema.levels,
            **self.likelihood_options,
        )  # fmt: skip

    def make_encoder(self, schema: Schema, out_size: int, key: PRNGKeyArray) -> Any:
        """The encoder of resolved choices, from x to (out_size,)."""
        return NETWORKS[self.network].encoder(
            schema.shape, tuple(self.hidden or ()), out_size, self.activation, key=key
        )

    def make_decoder(
        self, schema: Schema, likelihood: AbstractLikelihood, in_size: int, key: PRNGKeyArray,
        *, signed: bool = False, first_of_layers: bool = False,
    ) -> LatentDecoder:  # fmt: skip
        """The decoder of resolved choices, from latents of `in_size` numbers; see `LatentDecoder`."""
        widths, outputs = tuple(self.hidden or ()), likelihood.num_outputs
        network = NETWORKS[self.network].decoder(
            in_size, widths, outputs, schema.shape, self.activation, key=key
        )
        offset = jnp.zeros(schema.size) if self.likelihood == "bernoulli" else None
        return LatentDecoder(network, offset, signed, first_of_layers)

    @abstractmethod
    def constants(self, pair: AbstractPair) -> tuple[Any, Any]:
        """Where a pair keeps the encoder's centre and the decoder's offset."""

    def start(self, pair: AbstractPair, rows: Datum) -> AbstractPair:
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
