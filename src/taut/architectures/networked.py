"""`AbstractNetworked`: what architectures with networks and a likelihood have in common.

`AbstractAutoencoder` adds an encoder and a decoder of one kind, chosen by name.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.choices import at_least_one, known
from taut.architectures.starting import start_of, started_counts, started_decoder
from taut.core import AbstractPair, Datum, InputError, Pair
from taut.data import Schema
from taut.guides import VampPair, marked_shape
from taut.models import (
    AbstractLikelihood,
    ColumnReader,
    choose_likelihood,
    column_forms,
    make_likelihood,
)
from taut.models.likelihoods import Mixed
from taut.networks import ACTIVATIONS, NETWORKS

__all__ = ["AbstractAutoencoder", "AbstractNetworked"]

_Own = TypeVar("_Own", bound="AbstractNetworked")
_Auto = TypeVar("_Auto", bound="AbstractAutoencoder")


# What is counted in a row of a sparse table depends on how long it was looked at, as reads of a cell do.
_GIVEN_TOTAL = "; rows are sparse, so that each row's total is given and its shares are modelled"


@dataclass(frozen=True, kw_only=True)
class AbstractNetworked(AbstractArchitecture):
    """Networks and a likelihood.

    Attributes:
        hidden: widths of the hidden layers, such as 256,256; None for the architecture's own.
        activation: function between the layers of a network, such as relu or tanh; None for the
            network's own.
        likelihood: distribution of the data given z, by name; None for the one that suits the values
            of the data.
        likelihood_options: keyword options of a likelihood chosen by name.
    """

    takes_holes: ClassVar[bool] = True

    hidden: Sequence[int] | None = None
    activation: str | None = None
    likelihood: Any = None
    likelihood_options: Mapping[str, Any] = field(default_factory=dict, metadata={"flag": None})

    def __post_init__(self):
        if self.hidden is not None:
            object.__setattr__(self, "hidden", tuple(self.hidden))
        for width in self.hidden or ():
            at_least_one(width, "hidden")
        if self.activation is not None:
            known(self.activation, ACTIVATIONS, "activation")

    @abstractmethod
    def with_widths(self: _Own, schema: Schema) -> _Own:
        """The same choices with those of the networks made."""

    def resolved(self: _Own, schema: Schema) -> tuple[_Own, dict[str, str]]:
        chosen = self.with_widths(schema)
        if self.likelihood is not None:
            return chosen, {}
        if schema.kinds is not None:
            return chosen, {"likelihood": "columns differ in kind: each has a family of its own"}
        name, reason = choose_likelihood(
            kind=schema.kind, support=schema.support, levels=schema.levels
        )
        options = self.likelihood_options
        if schema.sparse and schema.support == "count":
            options = {"library": True, **options}
            if options["library"]:
                reason += _GIVEN_TOTAL
        return replace(chosen, likelihood=name, likelihood_options=options), {"likelihood": reason}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        self.resolved(schema)[0].make_likelihood(schema).check(x, where=where)

    def parts(self, pair: Any) -> tuple[Any, Any, Any]:
        """Likelihood, decoder, and what holds how x is read, where a pair of this kind has them."""
        if not isinstance(pair, Pair | VampPair):
            return pair.likelihood, pair.decoder, pair
        model: Any = pair.model
        return model.likelihood, model.decoder, getattr(pair.guide, "first", pair.guide)

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair at independent columns of the training rows; a user's own parts are as they were."""
        model: Any = pair.bind()[0]
        likelihood, decoder, reader = self.parts(pair)
        start = start_of(likelihood, model.units, rows)
        if start is not None and getattr(self, "decoder", None) is None:
            pair = eqx.tree_at(lambda p: self.parts(p)[1], pair, started_decoder(decoder, start))
            if not isinstance(self.likelihood, AbstractLikelihood):
                pair = eqx.tree_at(lambda p: self.parts(p)[0], pair, start.likelihood)
        counts = getattr(reader, "counts", None)
        if counts is None:
            return pair
        return eqx.tree_at(lambda p: self.parts(p)[2].counts, pair, started_counts(counts, rows))

    def make_likelihood(self, schema: Schema) -> AbstractLikelihood:
        """The likelihood of resolved choices."""
        forms = column_forms(schema)
        if forms is not None and self.likelihood is None:
            return Mixed(forms=forms, **self.likelihood_options)
        if forms is not None and isinstance(self.likelihood, str):
            raise InputError(
                "no likelihood by name, where columns differ in kind", f"'{self.likelihood}'",
                "leaving it out", where="likelihood",
            )  # fmt: skip
        if isinstance(self.likelihood, AbstractLikelihood):
            return self.likelihood
        return make_likelihood(
            self.likelihood, shape=schema.shape, levels=schema.levels, **self.likelihood_options
        )


@dataclass(frozen=True, kw_only=True)
class AbstractAutoencoder(AbstractNetworked):
    """An encoder, a decoder and a likelihood.

    Attributes:
        network: kind of encoder and decoder: `mlp`, `gated-mlp`, or `residual-conv` for images.
        hidden: widths of the hidden layers of the encoder, and in reverse of the decoder; of
            `residual-conv` the numbers of channels at 1/2, 1/4, ... of the resolution; None for the
            architecture's own, or the network's.
    """

    default_hidden: ClassVar[tuple[int, ...] | None] = None  # of an MLP; None for the network's own

    network: str = "mlp"

    def __post_init__(self):
        super().__post_init__()
        known(self.network, NETWORKS, "network")
        if self.activation is not None and NETWORKS[self.network].activation is None:
            raise InputError(
                f"no activation with the network {self.network}, whose gates stand in for one",
                repr(self.activation), "leaving it out", where="activation",
            )  # fmt: skip

    def with_widths(self: _Auto, schema: Schema) -> _Auto:
        network = NETWORKS[self.network]
        hidden = None if self.hidden is None else tuple(self.hidden)
        if hidden is None and self.network == "mlp":
            hidden = self.default_hidden
        return replace(
            self,
            hidden=network.widths(schema.shape, hidden),
            activation=self.activation or network.activation,
        )

    def make_encoder(self, schema: Schema, out_size: int, key: PRNGKeyArray) -> Any:
        """The encoder of resolved choices, from x, and the marks of its holes, to (out_size,)."""
        shape, forms = marked_shape(schema.shape, marked=schema.holes), column_forms(schema)
        if forms is not None:
            shape = (ColumnReader(forms).size(marked=schema.holes),)
        return NETWORKS[self.network].encoder(
            shape, tuple(self.hidden or ()), out_size, self.activation, key=key
        )

    def make_decoder(
        self, schema: Schema, likelihood: AbstractLikelihood, in_size: int, key: PRNGKeyArray
    ) -> Any:
        """The decoder of resolved choices, from (in_size,) to the likelihood's outputs."""
        widths, outputs = tuple(self.hidden or ()), likelihood.num_outputs
        return NETWORKS[self.network].decoder(
            in_size, widths, outputs, schema.shape, self.activation, key=key
        )
