"""`AbstractTempered`: the options that all methods along a path of temperatures have."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from taut.core import InputError, option
from taut.evidence.abstract import AbstractMethod, Claims
from taut.evidence.tempering import SCHEDULES, Schedule

__all__ = ["AbstractTempered", "Start"]

Start = Literal["guide", "prior"]


@dataclass(frozen=True)
class AbstractTempered(AbstractMethod):
    """Chains from a start to the posterior, with Hamiltonian transitions.

    Attributes:
        num_particles: independent chains per row; k-hat wants a few hundred.
        temperatures: T, steps from the start to the posterior; more of them make the bound tighter.
        leapfrog: leapfrog steps in a transition.
        schedule: where the temperatures lie: `adaptive` by what a pilot found, `linear` or `sigmoid`.
        start: where the chains begin: the `guide` or the `prior`.
    """

    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True, latents="continuous")

    num_particles: int = 200
    temperatures: int = 20
    leapfrog: int = 3
    schedule: Schedule = "adaptive"
    start: Start = "guide"

    def __post_init__(self):
        for name, least, why, where in (
            ("num_particles", 2, "chains, which an error needs", option("num_particles")),
            ("temperatures", 1, "step from the start to the posterior", "temperatures"),
            ("leapfrog", 1, "leapfrog step", "leapfrog"),
        ):
            if getattr(self, name) < least:
                raise InputError(
                    f"at least {least} {why}", f"{getattr(self, name)}",
                    f"{type(self).__dataclass_fields__[name].default}", where=where,
                )  # fmt: skip
        for name, known in (("schedule", SCHEDULES), ("start", get_args(Start))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"one of {', '.join(known)}", repr(getattr(self, name)), known[0], where=name,
                )  # fmt: skip

    @property
    def label(self) -> str:
        """The name, and the number of temperatures where it is another than the method's own."""
        own = type(self).__dataclass_fields__["temperatures"].default
        return self.name if self.temperatures == own else f"{self.name}, T = {self.temperatures}"
