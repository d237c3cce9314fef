"""`Joint`: model and guide move together along the gradient of the bound."""

from dataclasses import dataclass
from typing import ClassVar

from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem, estimator_of
from taut.inference.amortized.joint import joint

__all__ = ["Joint"]


@dataclass(frozen=True)
class Joint(AbstractAmortized):
    """Gradient steps in model and guide together."""

    name: ClassVar[str] = "joint"
    claims: ClassVar[Claims] = Claims(raises="bound")

    def algorithm(self, problem: Problem) -> Algorithm:
        return joint(
            problem.pair,
            problem.bound,
            estimator_of(problem),
            problem.optimizer,
            example=problem.example,
            key=problem.key,
            prepare=problem.prepare,
        )
