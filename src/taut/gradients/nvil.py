"""Neural variational inference and learning: the score function with a learned baseline.

    (f - C(x; psi) - c) grad_phi log q(z | x)  +  grad_phi F at fixed draws

C is a network of the datum, c the running mean of what it leaves (Mnih and Gregor 2014; here the
signal is the whole one, without the layers' local ones). Unbiased for every bound in both parameter
groups, whatever the network. With `normalize_variance` the guide's whole gradient, a closed KL's share
included, is divided by max(1, the running standard deviation of the centred signal): its expectation is
the right one times that factor, which is the same for all data of a step; `departure` says so. The
model's gradient is untouched.

One evaluation of the model and of the guide per particle, and one pass of a small network per datum.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum, chosen
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.baselines import NetworkBaseline
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.score_function import score_surrogate

__all__ = ["NVIL"]


class NVIL(AbstractEstimator):
    """REINFORCE with a neural network of the row as baseline, for discrete latents and one draw.

    Attributes:
        baseline: the network, how it learns, and whether the signal is divided by its standard
            deviation.
    """

    name: ClassVar[str] = "nvil"
    claims: ClassVar[tuple[Claim, ...]] = tuple(
        Claim(bound, "unbiased", "unbiased", "enumeration") for bound in ("elbo", "iwae", "renyi")
    )

    readers: ClassVar[Mapping[str, Any]] = {
        "baseline": lambda content: chosen(
            {NetworkBaseline.name: NetworkBaseline}, content, "baseline"
        )
    }

    baseline: NetworkBaseline = NetworkBaseline()

    def __call__(
        self,
        bound: AbstractBound,
        model: AbstractModel,
        guide: Any,
        datum: Datum,
        key: PRNGKeyArray,
        *,
        step: Int[Array, ""] | int = 0,
        aux: Any = None,
    ) -> Surrogate:
        return score_surrogate(bound, model, guide, datum, key, step, self.baseline, aux)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)

    def departure(self, bound: AbstractBound) -> str | None:
        if not self.baseline.normalize_variance:
            return None
        return (
            "the guide's gradient is divided by the running standard deviation of the signal, "
            "where that is above 1 nat"
        )

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> Any:
        return self.baseline.init(key, example)

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        return self.baseline.update(aux, gradients, statistics)
