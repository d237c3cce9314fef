"""Tiny problems that every inference is held to: all sums over latents are enumerated.

Rows are outcomes 0, 1, 2 of which the second comes three times. p(x) can be any table, so that the
best mean evidence is minus the entropy of the rows, -(1/3) log 3 - (1/2) log 2 - (1/6) log 6 nats; a
guide with a table of its own attains it. Draws of an `EnumeratedFamily` are all outcomes with their
masses: value and gradient of every bound are exact. The autoencoder with a codebook has two rows of
bits and two codes.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from known_models import TableModel
from nodes import EnumeratedFamily

import taut
from taut.bounds import ELBO
from taut.core import LOG_LIKELIHOOD, AbstractModel, Datum, Pair
from taut.data import Schema
from taut.gradients import Reparameterized
from taut.guides import AmortizedGuide
from taut.inference import (
    INFERENCES,
    AbstractAmortized,
    AbstractExact,
    AbstractInference,
    Algorithm,
    PerDatum,
    Problem,
    SemiAmortized,
    VariationalEM,
)

NUMBERS = np.array([7, 3, 20, 11, 4, 9], np.int32)  # in their data set, in no order
ROWS = Datum(np.array([0, 1, 1, 2, 0, 1]), index=NUMBERS)
BEST = float(np.array([2, 3, 1]) / 6 @ np.log(np.array([2, 3, 1]) / 6))
LATENTS = 2

BITS = Datum(np.array([[0, 1, 1, 0], [1, 0, 1, 1]] * 2, float), index=np.arange(4, dtype=np.int32))
BEST_OF_BITS = -float(np.log(2))


class FeaturesOf(eqx.Module):
    """The encoder that is a table: features[x] for an x among a few outcomes."""

    features: Any

    def __call__(self, x):
        return self.features[x.astype(int)]


class Breaking(AbstractModel):
    """The same model, in which one outcome has an infinite log-likelihood."""

    inner: AbstractModel
    outcome: int = eqx.field(static=True)

    def terms(self, datum, z):
        terms = self.inner.terms(datum, z)
        broken = jnp.where(datum.x == self.outcome, jnp.inf, 0.0)
        return {**terms, LOG_LIKELIHOOD: terms[LOG_LIKELIHOOD] + broken}


def table_pair() -> Pair:
    rng = np.random.default_rng(0)
    model = TableModel(
        jnp.asarray(rng.normal(size=LATENTS)), jnp.asarray(rng.normal(size=(LATENTS, 3)))
    )
    encoder = FeaturesOf(jnp.asarray(rng.normal(size=(3, LATENTS))))
    return Pair(model, AmortizedGuide(encoder, EnumeratedFamily(LATENTS)))


def bits_architecture() -> taut.VQ:
    return taut.VQ(latents="1x2", code_dim=2, hidden=(8,), likelihood="bernoulli")


def problem(
    inference: AbstractAmortized,
    optimizer: optax.GradientTransformation,
    *,
    breaking: int | None = None,
) -> tuple[Problem, Datum]:
    """What an inference is given, and the rows that it is given for."""
    if inference.claims.guides == "nearest-codes":
        architecture: Any = bits_architecture()
        schema = Schema("bits", "table", (4,), "binary", 2, dtype="float64")
        pair, rows = architecture.init(schema, jax.random.key(3)), BITS
        assert breaking is None
    else:
        architecture, rows, pair = taut.VAE(), ROWS, table_pair()
        if breaking is not None:
            pair = eqx.tree_at(lambda p: p.model, pair, Breaking(pair.model, breaking))
    bound: Any = inference.default_bound(architecture)
    if isinstance(bound, ELBO):
        bound = ELBO(kl="sampled")
    made = Problem(
        architecture=architecture,
        pair=inference.pair(pair, jnp.asarray(rows.index), jax.random.key(1)),
        bound=bound,
        gradient=Reparameterized() if inference.takes_gradient else None,
        optimizer=optimizer,
        example=jax.tree.map(lambda leaf: leaf[0], rows),
        key=jax.random.key(2),
    )
    return made, rows


def algorithm_and_rows(
    inference: AbstractAmortized,
    optimizer: optax.GradientTransformation,
    *,
    breaking: int | None = None,
) -> tuple[Algorithm, Datum]:
    made, rows = problem(inference, optimizer, breaking=breaking)
    return inference.algorithm(made), rows


AMORTIZED: dict[str, AbstractAmortized] = {
    name: cls() for name, cls in INFERENCES.items() if issubclass(cls, AbstractAmortized)
}
"""Each with its defaults."""

VARIANTS: dict[str, AbstractAmortized] = AMORTIZED | {
    "variational-em, 2 and 3": VariationalEM(e_steps=2, m_steps=3),
    "semi-amortized, around": SemiAmortized(refine_through=False),
    "semi-amortized, no clip": SemiAmortized(refine_steps=2, refine_clip=None),
    "per-datum, 3 passes": PerDatum(row_steps=3),
}

EXACT: dict[str, AbstractExact] = {
    name: cls() for name, cls in INFERENCES.items() if issubclass(cls, AbstractExact)
}


def best(inference: AbstractInference) -> float:
    """The highest mean evidence that can be reached, nats per row."""
    return BEST_OF_BITS if inference.claims.guides == "nearest-codes" else BEST


__all__ = [
    "AMORTIZED",
    "BEST",
    "EXACT",
    "ROWS",
    "VARIANTS",
    "algorithm_and_rows",
    "best",
    "problem",
    "table_pair",
]
