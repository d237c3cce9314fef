"""The variational autoencoder as a sentence of choices.

    prior + decoder + likelihood        p(x, z) = p(z) p(x | decoder(z))
    encoder + variational family        q(z | x) = family(encoder(x))

Every choice is a name or a user's own object. A prior is a `taut.models.AbstractPrior` or a NumPyro
distribution; a likelihood a `taut.models.AbstractLikelihood`; encoder and decoder any callable pytrees
of arrays; a guide a `taut.guides.AbstractFamily` (with the encoder) or any callable pytree that maps a
datum to a distribution (instead of it).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.choices import (
    at_least_one,
    known,
    plain,
    refuse_users_parts,
    units_of,
)
from taut.core import AbstractPair, InputError, Pair
from taut.data import Schema
from taut.guides import AbstractFamily, AmortizedGuide, check_family, make_family
from taut.models import (
    AbstractLikelihood,
    AbstractPrior,
    FixedPrior,
    LatentVariableModel,
    check_prior,
    choose_likelihood,
    make_likelihood,
    make_prior,
)
from taut.networks import ACTIVATIONS, NETWORKS

__all__ = ["VAE"]


@dataclass(frozen=True)
class VAE(AbstractArchitecture):
    """A variational autoencoder.

    Attributes:
        latent_dim: number of latent dimensions.
        network: name of the kind of encoder and decoder: `mlp`, `gated-mlp`, `residual-conv`.
        hidden: widths of the hidden layers of encoder and, reversed, of decoder; of residual-conv
            the channels at 1/2, 1/4, ... of the resolution. None for the network's own.
        activation: elementwise function between layers; None for the network's own.
        likelihood: name or object; None chooses from the data.
        likelihood_options: keyword options of a likelihood chosen by name.
        prior: name (`standard-normal`, `mixture:10`, `flow:affine-coupling:4`), `AbstractPrior` or
            NumPyro distribution.
        guide: name of a variational family, layers of a flow (`planar:8`, `iaf:4`), `AbstractFamily`, or
            a guide.
        guide_hidden: widths of the networks inside layers of a flow guide; None for two of four times
            the latent dimensions, at least 64.
        encoder: user's network from x to the family's features; None for `network`'s.
        decoder: user's network from z to the likelihood's outputs; None for `network`'s.
    """

    name: ClassVar[str] = "vae"

    latent_dim: int = 16
    network: str = "mlp"
    hidden: Sequence[int] | None = None
    activation: str | None = None
    likelihood: Any = None
    likelihood_options: Mapping[str, Any] = field(default_factory=dict)
    prior: Any = "standard-normal"
    guide: Any = "mean-field"
    guide_hidden: Sequence[int] | None = None
    encoder: Any = None
    decoder: Any = None

    def __post_init__(self):
        at_least_one(self.latent_dim, "latent-dim")
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
        if isinstance(self.prior, str):
            check_prior(self.prior)
        if isinstance(self.guide, str):
            check_family(self.guide)
        if self.guide_hidden is not None:
            object.__setattr__(self, "guide_hidden", tuple(self.guide_hidden))
            for width in self.guide_hidden or ():
                at_least_one(width, "guide-hidden")

    def resolved(self, schema: Schema) -> tuple["VAE", dict[str, str]]:
        chosen = self
        if self.encoder is None or self.decoder is None:
            network = NETWORKS[self.network]
            hidden = None if self.hidden is None else tuple(self.hidden)
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
        self.resolved(schema)[0]._likelihood(schema).check(x, where=where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen._likelihood(schema)
        units = None if likelihood.discrete else units_of(schema)
        encoder_key, decoder_key, prior_key = jax.random.split(key, 3)
        decoder = chosen._decoder(schema, likelihood, decoder_key)
        prior = self._prior(prior_key)
        model = LatentVariableModel(prior, decoder, likelihood, schema.shape, units)
        family = self.guide
        if isinstance(family, str):
            family = make_family(
                family, self.latent_dim, hidden=self.guide_hidden, key=jax.random.fold_in(key, 1)
            )
        if not isinstance(family, AbstractFamily):
            return Pair(model, family)
        if family.latent_dim != self.latent_dim:
            raise InputError(
                f"a family over {self.latent_dim} latent dimensions",
                f"one over {family.latent_dim}",
                f"latent_dim={family.latent_dim}",
                where="guide",
            )
        encoder = chosen._encoder(schema, family, encoder_key)
        _check_fit(model, encoder, family, schema)
        counts = schema.support == "count"
        return Pair(model, AmortizedGuide(encoder, family, units, log_counts=counts))

    def to_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = {"name": self.name}
        for item in fields(self):
            content[item.name] = plain(getattr(self, item.name))
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "VAE":
        """The inverse of `to_dict` for choices that are all plain.

        Raises:
            InputError: some part was a user's own object.
        """
        given = {k: v for k, v in content.items() if k != "name"}
        refuse_users_parts(given)
        return cls(**given)

    def _likelihood(self, schema: Schema) -> AbstractLikelihood:
        if isinstance(self.likelihood, AbstractLikelihood):
            return self.likelihood
        return make_likelihood(
            self.likelihood, shape=schema.shape, levels=schema.levels, **self.likelihood_options
        )

    def _encoder(self, schema: Schema, family: AbstractFamily, key: PRNGKeyArray) -> Any:
        if self.encoder is not None:
            return self.encoder
        widths = tuple(self.hidden or ())
        return NETWORKS[self.network].encoder(
            schema.shape, widths, family.num_features, self.activation, key=key
        )

    def _decoder(self, schema: Schema, likelihood: AbstractLikelihood, key: PRNGKeyArray) -> Any:
        if self.decoder is not None:
            return self.decoder
        widths, outputs = tuple(self.hidden or ()), likelihood.num_outputs
        return NETWORKS[self.network].decoder(
            self.latent_dim, widths, outputs, schema.shape, self.activation, key=key
        )

    def _prior(self, key: PRNGKeyArray) -> AbstractPrior:
        if isinstance(self.prior, str):
            return make_prior(self.prior, self.latent_dim, key=key)
        if isinstance(self.prior, dist.Distribution):
            return FixedPrior(self.prior)
        return self.prior


def _check_fit(
    model: LatentVariableModel, encoder: Any, family: AbstractFamily, schema: Schema
) -> None:
    """Shapes of the user's networks, without running them."""
    latent_dim = family.latent_dim
    x = jax.ShapeDtypeStruct(schema.shape, float)
    features = jax.eval_shape(encoder, x).shape
    if features != (family.num_features,):
        raise InputError(
            f"an encoder with {family.num_features} outputs", f"shape {features}",
            "another width, or another guide", where="encoder",
        )  # fmt: skip
    outputs = jax.eval_shape(model.decoder, jax.ShapeDtypeStruct((latent_dim,), float))
    wanted = model.likelihood.num_outputs * math.prod(schema.shape)
    if math.prod(outputs.shape) != wanted:
        raise InputError(
            f"a decoder with {wanted} outputs ({model.likelihood.num_outputs} per cell)",
            f"shape {outputs.shape}", "another width, or another likelihood", where="decoder",
        )  # fmt: skip
    prior = model.prior()
    event_shape = getattr(prior, "event_shape", (latent_dim,))
    if event_shape != (latent_dim,):
        raise InputError(
            f"a prior over shape ({latent_dim},)", f"one over {event_shape}",
            f"`.to_event(1)` or latent_dim={event_shape[-1] if event_shape else 1}", where="prior",
        )  # fmt: skip
