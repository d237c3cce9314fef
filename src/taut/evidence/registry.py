"""The registry of evidence methods, by the name that `fit.evaluate` and the command line take."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum
from taut.evidence.abstract import AbstractMethod, Claims
from taut.evidence.annealed import Annealed
from taut.evidence.bidirectional import Bidirectional
from taut.evidence.bridge import Bridge
from taut.evidence.importance import Evidence, importance_sampling
from taut.evidence.known_latents import weigh_known
from taut.evidence.monte_carlo import naive_monte_carlo
from taut.evidence.quasi_monte_carlo import QuasiMonteCarlo
from taut.evidence.simulated import Simulated
from taut.evidence.smc import SMC
from taut.guides import PriorGuide

__all__ = ["EVIDENCE", "Importance", "MonteCarlo"]


@dataclass(frozen=True)
class Importance(AbstractMethod):
    """Importance sampling from the guide.

    Attributes:
        num_particles: draws per row.
    """

    name: ClassVar[str] = "importance"
    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True)

    num_particles: int = 5000

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        return importance_sampling(pair, rows, key=key, num_particles=self.num_particles)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        return weigh_known(*pair.bind(), made, key=key, num_particles=self.num_particles)


@dataclass(frozen=True)
class MonteCarlo(AbstractMethod):
    """Naive Monte Carlo from the prior.

    Attributes:
        num_particles: draws per row.
    """

    name: ClassVar[str] = "monte-carlo"
    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True)

    num_particles: int = 5000

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        return naive_monte_carlo(pair, rows, key=key, num_particles=self.num_particles)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        model, _ = pair.bind()
        prior = PriorGuide(model)
        return weigh_known(model, prior, made, key=key, num_particles=self.num_particles)


EVIDENCE: dict[str, type[AbstractMethod]] = {
    method.name: method
    for method in (Importance, MonteCarlo, QuasiMonteCarlo, Annealed, SMC, Bridge, Bidirectional)
}
