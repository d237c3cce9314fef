"""The variational autoencoder as a sentence of choices.

    prior + decoder + likelihood        p(x, z) = p(z) p(x | decoder(z))
    encoder + variational family        q(z | x) = family(encoder(x))

Every choice is a name or a user's own object. A prior is a `taut.models.AbstractPrior` or a NumPyro
distribution; a likelihood a `taut.models.AbstractLikelihood`; encoder and decoder any callable pytrees
of arrays; a guide a `taut.guides.AbstractFamily` (with the encoder) or any callable pytree that maps a
datum to a distribution (instead of it).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray

from taut.architectures.choices import at_least_one, counts_of, known, units_of
from taut.architectures.networked import AbstractAutoencoder
from taut.architectures.starting import started_masking
from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractPair, Datum, InputError, Pair, counted, option
from taut.data import Schema
from taut.gradients import AbstractEstimator, StickingTheLanding
from taut.guides import (
    AbstractFamily,
    AmortizedGuide,
    FullRankGaussian,
    LowRankGaussian,
    VampPair,
    check_family,
    make_family,
)
from taut.models import (
    AbstractLikelihood,
    AbstractPrior,
    ColumnReader,
    FixedPrior,
    LatentVariableModel,
    SelfMasking,
    VampPrior,
    check_maskable,
    check_prior,
    column_forms,
    make_prior,
)
from taut.networks import last_layer

__all__ = ["VAE"]

Missingness = Literal["at-random", "self-masking"]


@dataclass(frozen=True)
class VAE(AbstractAutoencoder):
    """A variational autoencoder with Gaussian latents.

    Attributes:
        latent_dim: number of latent dimensions.
        prior: distribution p(z): `standard-normal`, `mixture:10` (ten learned Gaussians), `vamp:500`
            (the posteriors of 500 learned rows; `vamp:500,weighted` with learned weights), or the
            layers of a flow, such as `flow:affine-coupling:4`; in Python also an `AbstractPrior` or
            a NumPyro distribution.
        guide: family of q(z | x): `mean-field`, `full-rank`, `low-rank:4`, or the layers of a flow,
            such as `sylvester:4` or `iaf:4`, all of which start as `mean-field` does; in Python also
            an `AbstractFamily`, or a guide.
        guide_hidden: widths of the hidden layers inside the layers of a flow guide, which have relu
            between them; None for two, each four times the latent dimensions and at least 64.
        missingness: why cells are missing: `at-random` given the other cells of the row, so that
            densities are those of the observed cells; or `self-masking`, by a cell's own value, for
            which a logistic curve of each column is learned.
        encoder: user's network from x to the family's features; None for `network`'s.
        decoder: user's network from z to the likelihood's outputs; None for `network`'s.
    """

    name: ClassVar[str] = "vae"
    takes_kinds: ClassVar[bool] = True

    latent_dim: int = 16
    prior: Any = "standard-normal"
    guide: Any = "mean-field"
    guide_hidden: Sequence[int] | None = None
    missingness: Missingness = "at-random"
    encoder: Any = field(default=None, metadata={"flag": None})
    decoder: Any = field(default=None, metadata={"flag": None})

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self.latent_dim, "latent_dim")
        known(self.missingness, dict.fromkeys(get_args(Missingness)), "missingness")
        if isinstance(self.prior, str):
            check_prior(self.prior)
        if isinstance(self.guide, str):
            check_family(self.guide)
        if self.guide_hidden is not None:
            object.__setattr__(self, "guide_hidden", tuple(self.guide_hidden))
            for width in self.guide_hidden or ():
                at_least_one(width, "guide_hidden")

    def gradient(self, bound: AbstractBound) -> tuple[AbstractEstimator, str | None]:
        """For a Gaussian with correlations the path alone, where the bound lets log q be sampled.

        Each draw's gradient in a correlation is noise of the size of its score, which a closed KL
        leaves in; over as many as there are pairs of latent dimensions it costs more than they gain.
        """
        sampled = isinstance(bound, ELBO) and bound.kl != "closed" and bound.free_bits == 0
        family = self.guide.partition(":")[0] if isinstance(self.guide, str) else None
        if sampled and family in (FullRankGaussian.name, LowRankGaussian.name):
            return StickingTheLanding(), f"the least noise in the correlations of a {family} guide"
        return super().gradient(bound)

    def with_widths(self, schema: Schema) -> "VAE":
        users = self.encoder is not None and self.decoder is not None
        return self if users else super().with_widths(schema)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen.make_likelihood(schema)
        units = None if likelihood.discrete else units_of(schema)
        encoder_key, decoder_key, prior_key, guide_key = jax.random.split(key, 4)
        guide_key, head_key = jax.random.split(guide_key)
        decoder = self.decoder
        if decoder is None:
            decoder = chosen.make_decoder(schema, likelihood, self.latent_dim, decoder_key)
        prior = self._prior(schema, likelihood, prior_key)
        masking = self._masking(schema, likelihood)
        model = LatentVariableModel(prior, decoder, likelihood, schema.shape, units, masking)
        family = self.guide
        if isinstance(family, str):
            family = make_family(family, self.latent_dim, hidden=self.guide_hidden, key=guide_key)
        if not isinstance(family, AbstractFamily):
            return _paired(model, family)
        if family.latent_dim != self.latent_dim:
            raise InputError(
                f"a family over {self.latent_dim} latent dimensions",
                f"one over {family.latent_dim}",
                option("latent_dim", family.latent_dim),
                where="guide",
            )
        encoder = self.encoder
        if encoder is None:
            encoder = chosen.make_encoder(schema, 2 * self.latent_dim, encoder_key)
            head = family.head(last_layer(encoder), key=head_key)
            encoder = eqx.tree_at(last_layer, encoder, head)
        else:
            _check_encoder(encoder, family, schema)
        _check_fit(model, family, schema)
        marked = schema.holes and self.encoder is None
        forms = column_forms(schema) if self.encoder is None else None
        guide = AmortizedGuide(
            encoder, family, units, counts_of(schema, likelihood), marked=marked,
            columns=None if forms is None else ColumnReader(forms),
        )  # fmt: skip
        return _paired(model, guide)

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair at independent columns of the training rows, pseudo-inputs of a prior at rows."""
        pair = super().start(pair, rows, schema=schema)
        if self.missingness == "self-masking":
            model: Any = pair.bind()[0]
            started = started_masking(rows, model.units)
            pair = eqx.tree_at(lambda p: p.model.masking, pair, started)
        if not isinstance(pair, VampPair):
            return pair
        prior: Any = pair.model.prior_family
        return eqx.tree_at(lambda p: p.model.prior_family, pair, prior.started_at(rows))

    def _masking(self, schema: Schema, likelihood: Any) -> SelfMasking | None:
        if self.missingness == "at-random":
            return None
        check_maskable(likelihood)
        if not schema.holes:
            raise InputError(
                "rows with missing cells, where cells hide themselves", "rows without one",
                option("missingness", "at-random"), where=option("missingness"),
            )  # fmt: skip
        return SelfMasking.start(schema.shape)

    def _prior(
        self, schema: Schema, likelihood: AbstractLikelihood, key: PRNGKeyArray
    ) -> AbstractPrior:
        if likelihood.counts:  # whole numbers that come as floats, too
            schema = replace(schema, support="count")
        if isinstance(self.prior, str):
            if schema.kinds is not None and self.prior.startswith("vamp"):
                raise InputError(
                    "another prior, where columns differ in kind", f"'{self.prior}'",
                    option("prior", "mixture:10"), where="prior",
                )  # fmt: skip
            return make_prior(self.prior, self.latent_dim, key=key, schema=schema)
        if isinstance(self.prior, dist.Distribution):
            return FixedPrior(self.prior)
        return self.prior


def _paired(model: LatentVariableModel, guide: Any) -> AbstractPair:
    shared = isinstance(model.prior_family, VampPrior)
    return VampPair(model, guide) if shared else Pair(model, guide)


def _check_encoder(encoder: Any, family: AbstractFamily, schema: Schema) -> None:
    """The shape of a user's encoder, without running it."""
    x = jax.ShapeDtypeStruct(schema.shape, jnp.result_type(float))
    features = jax.eval_shape(encoder, x).shape
    if features != (family.num_features,):
        raise InputError(
            f"an encoder with {counted(family.num_features, 'output')}", f"shape {features}",
            "another width, or another guide", where="encoder",
        )  # fmt: skip


def _check_fit(model: LatentVariableModel, family: AbstractFamily, schema: Schema) -> None:
    """The shapes of a user's decoder and prior, without running them."""
    latent_dim, dtype = family.latent_dim, jnp.result_type(float)
    outputs = jax.eval_shape(model.decoder, jax.ShapeDtypeStruct((latent_dim,), dtype))
    wanted = model.likelihood.num_outputs * math.prod(schema.shape)
    if math.prod(outputs.shape) != wanted:
        raise InputError(
            f"a decoder with {counted(wanted, 'output')} ({model.likelihood.num_outputs} per cell)",
            f"shape {outputs.shape}", "another width, or another likelihood", where="decoder",
        )  # fmt: skip
    if isinstance(model.prior_family, VampPrior):
        return  # its draws are those of the guide
    prior = model.prior()
    event_shape = getattr(prior, "event_shape", (latent_dim,))
    if event_shape != (latent_dim,):
        raise InputError(
            f"a prior over shape ({latent_dim},)", f"one over {event_shape}",
            f"`.to_event(1)` or {option('latent_dim', event_shape[-1] if event_shape else 1)}",
            where="prior",
        )  # fmt: skip
