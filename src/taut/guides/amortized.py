"""The amortized guide, q(z | x) = family(encoder(x)).

One network names the posterior of every datum (Gershman and Goodman 2014), so new rows cost one pass.
Cells that are not observed reach the encoder as the column's mean, and are marked where
the training data have such cells.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import Datum
from taut.guides.abstract import AbstractFamily
from taut.guides.marking import filled
from taut.models import ColumnReader, LogCounts, Units

__all__ = ["AmortizedGuide"]


class AmortizedGuide(eqx.Module):
    """An encoder and a variational family.

    Attributes:
        encoder: maps x to the family's features, (num_features,).
        family: variational family.
        units: standardisation of x; None where the encoder reads the data's units.
        counts: how the encoder reads counts; None where x are no counts.
        center: subtracted from what the encoder reads, of the data's shape; a constant of the data,
            never trained. None for 0.
        columns: how the encoder reads a row whose columns differ in kind; None for other rows.
        marked: the encoder reads which cells are observed, too.
        label_weight: of -log q(y given x) in the objective of a row whose class y is known; a constant
            of the data, never trained. None where labels are not the guide's business.
    """

    encoder: Any
    family: AbstractFamily
    units: Units | None = None
    counts: LogCounts | None = None
    center: Float[Array, "..."] | None = None
    marked: bool = eqx.field(static=True, default=False)
    columns: ColumnReader | None = None
    label_weight: Float[Array, ""] | None = None

    def __call__(self, datum: Datum) -> Any:
        """q(z | x), a distribution or a proposal; given the class as well where it is known."""
        q = self.family(self.features(datum))
        if self.label_weight is None or datum.label is None:
            return q
        return q.known(datum.label)

    def classification(self, datum: Datum) -> Float[Array, ""]:
        """The weighted log q(y | x) of a row whose class is known, else 0; nats."""
        if self.label_weight is None or datum.label is None:
            return jnp.zeros(())
        log_q = self.family(self.features(datum)).log_q_y
        known = jnp.where(datum.label < 0, 0.0, log_q[jnp.maximum(datum.label, 0)])
        return jax.lax.stop_gradient(self.label_weight) * known

    def features(self, datum: Datum) -> Float[Array, " F"]:
        """The family's features at a datum, (num_features,)."""
        if self.columns is not None:
            return self.encoder(self.columns(datum.x, datum.mask, marked=self.marked))
        x = self.read(datum)
        if self.center is not None:
            x = x - jax.lax.stop_gradient(self.center)
        return self.encoder(filled(x, datum.mask, marked=self.marked))

    def read(self, datum: Datum) -> Float[Array, "..."]:
        """x as the encoder reads it, before it is centred and masked."""
        # Rows of bits or counts that a model has drawn are whole numbers.
        whole = not jnp.issubdtype(datum.x.dtype, jnp.inexact)
        x = datum.x.astype(jnp.result_type(float)) if whole else datum.x
        x = x if self.units is None else self.units.standardize(x)
        return x if self.counts is None else self.counts.standardize(x)
