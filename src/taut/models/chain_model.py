"""The generative side of a chain of layers: p(z_T) and every p(z_{t-1} | z_t) that draws.

    log p(x, path) = log p(z_T) + sum of the layers' log p(z_{t-1} | z_t)

Layers that decode to one point contribute nothing here; their volume is the guide's.
"""

from typing import Any

from taut.core import LOG_PRIOR, AbstractModel, Datum, Measure, Terms, as_proposal, total
from taut.models.priors import AbstractPrior
from taut.transforms import Chain

__all__ = ["ChainModel"]


class ChainModel(AbstractModel):
    """p(x, path) of a chain over a base; `mean` and `sample` take the last latent.

    Attributes:
        base: p(z_T).
        chain: layers from data to latent.
    """

    base: AbstractPrior
    chain: Chain

    @property
    def measure(self) -> Measure | None:
        kinds = self.chain.layers[0].cell_kinds
        return None if kinds is None else Measure(kinds)

    def terms(self, datum: Datum, z: Any) -> Terms:
        log_prior = -total(as_proposal(self.prior()).terms(z[-1]))
        return {**self.chain.generative_terms(datum.x, z), LOG_PRIOR: log_prior}

    def prior(self) -> Any:
        return self.base()

    def code(self, z: Any) -> Any:
        return z[-1]

    def mean(self, z: Any) -> Any:
        return self.chain.mean(z)

    def sample(self, z: Any, key: Any) -> Any:
        return self.chain.decode(z, key)
