"""`WakeSleep`: the guide is fitted to given latents, the model to the data as the guide sees them."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from taut.architectures import AbstractArchitecture
from taut.bounds import IWAE, AbstractBound
from taut.core import InputError, option
from taut.gradients import AbstractEstimator
from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem
from taut.inference.amortized.check import refuse_kl_weights
from taut.inference.amortized.wake_sleep import wake_sleep

__all__ = ["Phi", "WakeSleep"]

Phi = Literal["wake", "sleep", "both"]

_FITTED_TO: dict[str, str] = {
    "wake": "weighted draws at the data",
    "sleep": "dreams of the model",
    "both": "weighted draws at the data and dreams of the model",
}


@dataclass(frozen=True)
class WakeSleep(AbstractAmortized):
    """The guide learns from weighted draws or from samples of the model (wake-sleep).

    Attributes:
        phi: what the guide learns from: weighted draws for the data (`wake`), samples of the model
            (`sleep`), or `both`.
    """

    name: ClassVar[str] = "wake-sleep"
    claims: ClassVar[Claims] = Claims(raises="none")
    takes_gradient: ClassVar[bool] = False

    phi: Phi = "wake"

    def __post_init__(self):
        if self.phi not in get_args(Phi):
            raise InputError("wake, sleep or both", repr(self.phi), "wake", where="phi")

    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        """Refuse another bound than IWAE or a KL that warms up, an estimator, codes without chance, too
        few particles.

        Raises:
            InputError: names what would do.
        """
        where = "wake-sleep"
        if architecture.default_inference == "codebook-averages":
            raise InputError(
                "a guide that draws z at random",
                f"{option('model', architecture.name)}, whose codes are certain",
                option("model", "discrete"), where=where,
            )  # fmt: skip
        if gradient is not None:
            raise InputError(
                "no estimator, for wake-sleep takes no gradient through draws",
                option("gradient", gradient.name), "leaving out one of them", where=where,
            )  # fmt: skip
        if bound is None:
            return
        if not isinstance(bound, IWAE):
            raise InputError(
                "the bound iwae, which wake-sleep raises in the model", f"the bound '{bound.name}'",
                option("bound", "iwae"), where=where,
            )  # fmt: skip
        refuse_kl_weights(
            bound, f"{option('inference', where)}, which fits the guide to latents alone"
        )
        if bound.num_particles < 2 and self.phi != "sleep":
            raise InputError(
                "at least two particles for the wake phase, which weighs them against each other",
                f"{bound.num_particles}", f"{option('num_particles', 5)}, or {option('phi', 'sleep')}",
                where=where,
            )  # fmt: skip

    def default_bound(self, architecture: AbstractArchitecture) -> AbstractBound:
        return IWAE()

    def algorithm(self, problem: Problem) -> Algorithm:
        assert isinstance(problem.bound, IWAE)  # as `check` has it
        return wake_sleep(
            problem.pair,
            problem.optimizer,
            problem.optimizer,
            num_particles=problem.bound.num_particles,
            phi=self.phi,
            key=problem.key,
            prepare=problem.prepare,
        )

    def departure(self, architecture: AbstractArchitecture) -> str | None:
        return f"the guide is fitted to {_FITTED_TO[self.phi]}, not to the bound"
