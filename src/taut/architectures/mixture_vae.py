"""A class that is enumerated and Gaussian latents within it: the model M2.

    p(y) p(z) p(x | y, z),        q(y | x) q(z | x, y),        y in C classes

The sum over y is exact, so that a step decodes every row once for each class and draw. Where the data
have a target of classes, y is that class, and a row whose class is known has the bound of log p(x, y),

    E_{q(z | x, y)} log p(y) p(z) p(x | y, z) / q(z | x, y)  +  (alpha N / N_labelled) log q(y | x),

to which the last term is added in what is climbed, for q(y | x) is else learned from rows without a
class alone; validation looks at what is climbed. With alpha = 1 labels count as if every row had one;
with less, classes follow whatever tells the rows apart most, which of images are the classes themselves
(there 0.1), and seldom of tables. Where few rows have a class a quarter of each batch has one, with the
weight that leaves the objective as it is.

Source: Kingma, Mohamed, Rezende and Welling, Semi-supervised learning with deep generative models
(2014), model M2, eq. 6 to 9.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from taut.architectures.centred import AbstractCentred
from taut.architectures.choices import at_least_one, counts_of, units_of
from taut.core import AbstractPair, Datum, InputError, Pair, option
from taut.data import Schema
from taut.guides import AmortizedGuide, StratifiedGaussian
from taut.models import (
    ColumnReader,
    LatentVariableModel,
    ProductPrior,
    StandardNormal,
    column_forms,
)

__all__ = ["MixtureVAE"]

_COMPONENTS = 10


@dataclass(frozen=True)
class MixtureVAE(AbstractCentred):
    """A VAE with a class beside its Gaussian latents, for clustering, or for few labels.

    Attributes:
        components: number of classes; those of the target where there is one.
        latent_dim: number of Gaussian latent dimensions.
        label_alpha: weight of the classification of labelled rows, whose mean loss counts alpha times
            for every training row; 0 for the bound alone.
    """

    name: ClassVar[str] = "mixture-vae"
    learns_classes: ClassVar[bool] = True
    takes_kinds: ClassVar[bool] = True

    components: int = _COMPONENTS
    latent_dim: int = 16
    label_alpha: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        at_least_one(self.latent_dim, "latent_dim")
        if not 0 <= self.label_alpha < math.inf:
            raise InputError(
                "a number of at least 0", f"{self.label_alpha}", "1", where=option("label_alpha")
            )
        if self.components < 2:
            raise InputError(
                "at least two classes", f"{self.components}",
                f"10, or {option('model', 'vae')} without classes",
                where="components",
            )  # fmt: skip

    def resolved(self, schema: Schema) -> tuple["MixtureVAE", dict[str, str]]:
        chosen, reasons = super().resolved(schema)
        if not _learns(schema) or schema.classes is None or self.components == len(schema.classes):
            return chosen, reasons
        count = len(schema.classes)
        if self.components != _COMPONENTS:
            raise InputError(
                f"{count} classes, as the target has them", f"{self.components}",
                option("components", count), where=option("components"),
            )  # fmt: skip
        why = {"components": f"the target has {count} classes"}
        return replace(chosen, components=count), reasons | why

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair with all that it takes from the training rows, the weight of labels among it."""
        pair = super().start(pair, rows, schema=schema)
        if rows.label is None or not _learns(schema):
            return pair
        labelled = jnp.sum(jnp.asarray(rows.label) >= 0)
        weight = (self.label_alpha * len(rows.label) / labelled).astype(float)
        return eqx.tree_at(lambda p: self._reader(p).label_weight, pair, weight)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        chosen = self.resolved(schema)[0]
        likelihood = chosen.make_likelihood(schema)
        units = None if likelihood.discrete else units_of(schema)
        encoder_key, decoder_key = jax.random.split(key)
        family = StratifiedGaussian(chosen.components, self.latent_dim)
        prior = ProductPrior(chosen.components, StandardNormal(self.latent_dim))
        decoder = chosen.make_latent_decoder(schema, likelihood, family.latent_dim, decoder_key)
        model = LatentVariableModel(prior, decoder, likelihood, schema.shape, units)
        encoder = chosen.make_encoder(schema, family.num_features, encoder_key)
        forms = column_forms(schema)
        guide = AmortizedGuide(
            encoder, family, units, counts_of(schema, likelihood), jnp.zeros(schema.shape), schema.holes,
            None if forms is None else ColumnReader(forms),
            label_weight=jnp.asarray(float(self.label_alpha)) if _learns(schema) else None,
        )  # fmt: skip
        return Pair(model, guide)


def _learns(schema: Schema) -> bool:
    """Whether the class is that of a target beside the columns."""
    beside = schema.target is not None and schema.place_of_target is None
    return beside and schema.classes is not None
