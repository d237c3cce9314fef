"""`VariationalEM`: the guide moves, then the model, by one of two schedules."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from taut.core import InputError, option
from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem, estimator_of
from taut.inference.amortized.aggressive import Aggressive
from taut.inference.amortized.alternation import AbstractAlternation, Alternate, at_least_one
from taut.inference.amortized.variational_em import variational_em

__all__ = ["Alternation", "VariationalEM"]

Alternation = Literal["alternate", "aggressive"]


@dataclass(frozen=True)
class VariationalEM(AbstractAmortized):
    """Gradient steps in the guide (E-steps) and in the model (M-steps) by turns.

    Attributes:
        alternation: `alternate`: fixed numbers of steps; `aggressive`: before each M-step E-steps
            until the bound stops rising, for as long as the mutual information of x and z grows.
        e_steps: E-steps in a row, with `alternate`.
        m_steps: M-steps in a row, with `alternate`.
        stall_window: with `aggressive`: the bound has stopped rising when its mean over this many
            E-steps is no better than over as many before.
        most_e_steps: with `aggressive`: largest number of E-steps before an M-step.
        information_every: with `aggressive`: M-steps between two estimates of the mutual
            information.
        information_rows: with `aggressive`: training rows that the mutual information is estimated
            on; the estimate cannot exceed the logarithm of their number.
    """

    name: ClassVar[str] = "variational-em"
    claims: ClassVar[Claims] = Claims(raises="bound", alternates=True)

    alternation: Alternation = "alternate"
    e_steps: int = 1
    m_steps: int = 1
    stall_window: int = 10
    most_e_steps: int = 100
    information_every: int = 100
    information_rows: int = 64

    def __post_init__(self):
        if self.alternation not in get_args(Alternation):
            raise InputError(
                "alternate or aggressive", repr(self.alternation), "alternate", where="alternation"
            )
        for name in ("e_steps", "m_steps", "stall_window", "most_e_steps", "information_every"):
            at_least_one(getattr(self, name), name)
        if self.information_rows < 2:
            raise InputError(
                "at least two rows, between which there can be information",
                f"{self.information_rows}", "64", where=option("information_rows"),
            )  # fmt: skip

    def algorithm(self, problem: Problem) -> Algorithm:
        return variational_em(
            problem.pair,
            problem.bound,
            estimator_of(problem),
            problem.optimizer,
            problem.optimizer,
            example=problem.example,
            key=problem.key,
            alternation=self._schedule(problem),
            prepare=problem.prepare,
        )

    def _schedule(self, problem: Problem) -> AbstractAlternation:
        if self.alternation == "alternate":
            return Alternate(self.e_steps, self.m_steps)
        if problem.probe is None:
            raise InputError(
                "training rows to estimate the mutual information on", "none",
                option("alternation", "alternate"), where="alternation",
            )  # fmt: skip
        return Aggressive(
            problem.probe(self.information_rows),
            window=self.stall_window,
            most_e_steps=self.most_e_steps,
            look_every=self.information_every,
            prepare=problem.prepare,
        )
