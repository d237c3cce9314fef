"""The latent-variable model whose decoder names the distribution of a row itself.

    z ~ p(z),        x ~ decode(z)

`decode` returns a NumPyro distribution over a row, so that a model that was made elsewhere keeps the
density that it was trained with, its fixed scales and the like.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import (
    DENSITY,
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    MASS,
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    Measure,
    Terms,
    as_proposal,
    total,
)
from taut.distributions import accurate, entropy_of, proposal_kl
from taut.models.priors import AbstractPrior

__all__ = ["DecodedModel"]


class DecodedModel(AbstractModel):
    """p(z) decode(z).

    Attributes:
        prior_family: p(z).
        decode: maps z to a NumPyro distribution whose batch and event shape together are those of a row.
        discrete: whether that is a probability mass function.
    """

    prior_family: AbstractPrior
    decode: Any
    discrete: bool = eqx.field(static=True)

    def terms(self, datum: Datum, z: Any) -> Terms:
        if datum.mask is not None:
            raise InputError(
                "rows without missing cells, which a distribution of whole rows is evaluated at",
                "rows with some", "leaving them out", where="decode",
            )  # fmt: skip
        x = datum.x.astype(int) if self.discrete else datum.x
        log_likelihood = jnp.sum(accurate(self.decode(z)).log_prob(x))
        log_prior = -total(as_proposal(self.prior()).terms(z))
        return {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: log_prior}

    @property
    def measure(self) -> Measure:
        return Measure((MASS if self.discrete else DENSITY,))

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        own = self.prior_family.kl(q, z)
        return proposal_kl(q, as_proposal(self.prior()), z) if own is None else own

    def prior(self) -> Any:
        return self.prior_family()

    def mean(self, z: Any) -> Float[Array, "..."]:
        """E[x | z], of the data's shape; differentiable in z."""
        return jnp.asarray(self.decode(z).mean)

    def sample(self, z: Any, key: Any) -> Array:
        """One x ~ p(x | z), of the data's shape."""
        return jnp.asarray(self.decode(z).sample(key))

    def entropy(self, z: Any, *, most: int) -> Float[Array, ""] | None:
        return entropy_of(self.decode(z), most=most)
