"""The exact posterior as a guide, q(z | x) = p(z | x): every log-weight is then log p(x).

    log w = log p(x, z) - log p(z | x) = log p(x)    for every z

so the ELBO is tight, importance sampling has no variance, and any estimator can be checked against it.
"""

from typing import Any

import equinox as eqx

from taut.core import AbstractModel, AbstractPair, Datum

__all__ = ["ExactPair", "ExactPosterior"]


class ExactPosterior(eqx.Module):
    """Proposes from the model's own posterior.

    Attributes:
        model: p(x, z), whose parameters the guide shares.
    """

    model: AbstractModel

    def __call__(self, datum: Datum) -> Any:
        """p(z | x)."""
        return self.model.posterior(datum)


class ExactPair(AbstractPair):
    """A model and its exact posterior, which have one set of parameters.

    Attributes:
        model: p(x, z).
    """

    model: AbstractModel

    def bind(self) -> tuple[AbstractModel, Any]:
        return self.model, ExactPosterior(self.model)
