"""The amortized guide, q(z | x) = family(encoder(x)).

One network names the posterior of every datum (Gershman and Goodman 2014), so new rows cost one pass.
Cells that are not observed reach the encoder as the column's mean.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist

from taut.core import Datum
from taut.guides.abstract import AbstractFamily
from taut.models import Units

__all__ = ["AmortizedGuide"]


class AmortizedGuide(eqx.Module):
    """An encoder and a variational family.

    Attributes:
        encoder: maps x to the family's features, (num_features,).
        family: variational family.
        units: standardisation of x; None where the encoder reads the data's units.
        log_counts: whether the encoder reads log(1 + x), which tames counts.
    """

    encoder: Any
    family: AbstractFamily
    units: Units | None = None
    log_counts: bool = eqx.field(static=True, default=False)

    def __call__(self, datum: Datum) -> dist.Distribution:
        """q(z | x) with event shape (latent_dim,)."""
        x = datum.x if self.units is None else self.units.standardize(datum.x)
        if self.log_counts:
            x = jnp.log1p(x)
        if datum.mask is not None:
            x = jnp.where(datum.mask, x, 0.0)
        return self.family(self.encoder(x))
