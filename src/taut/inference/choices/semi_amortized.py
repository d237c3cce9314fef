"""`SemiAmortized`: gradient steps on each datum's own bound, from where the encoder begins."""

from dataclasses import dataclass
from typing import ClassVar

import optax
from jaxtyping import Array, Int, PRNGKeyArray

from taut.core import AbstractPair, InputError, option
from taut.guides import AmortizedGuide, RefinedPair, Refinement
from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem, estimator_of
from taut.inference.amortized.semi_amortized import semi_amortized

__all__ = ["SemiAmortized"]


@dataclass(frozen=True)
class SemiAmortized(AbstractAmortized):
    """Gradient steps improve the encoder's q(z | x) for every row.

    Attributes:
        refine_steps: gradient steps on each row's own ELBO, from the encoder's output: the plain one,
            with weight 1 of the KL, whatever bound or beta is maximised after them.
        refine_learning_rate: step size of these steps.
        refine_clip: largest magnitude of an entry of their gradients; None does not clip.
        refine_through: whether the encoder is trained through these steps, which takes second
            derivatives, or on its own output.
    """

    name: ClassVar[str] = "semi-amortized"
    claims: ClassVar[Claims] = Claims(raises="bound", guides="encoder")

    refine_steps: int = 8
    refine_learning_rate: float = 0.1
    refine_clip: float | None = 5.0
    refine_through: bool = True

    def __post_init__(self):
        if self.refine_steps < 1:
            raise InputError(
                "at least one step", f"{self.refine_steps}", f"8, or {option('inference', 'joint')}",
                where=option("refine_steps"),
            )  # fmt: skip
        for name in ("refine_learning_rate", "refine_clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError("a positive number", f"{value}", "0.1", where=option(name))

    def pair(
        self, pair: AbstractPair, numbers: Int[Array, " N"], key: PRNGKeyArray
    ) -> AbstractPair:
        guide = pair.bind()[1]
        if not isinstance(guide, AmortizedGuide):
            raise InputError(
                "a guide whose encoder gives the features of one variational family",
                f"a {type(guide).__name__}", option("inference", "joint"), where="semi-amortized",
            )  # fmt: skip
        steps = optax.sgd(self.refine_learning_rate)
        if self.refine_clip is not None:
            # Entry by entry: a norm has no derivative where the gradient is zero.
            steps = optax.chain(optax.clip(self.refine_clip), steps)
        return RefinedPair(pair, Refinement(self.refine_steps, steps, through=self.refine_through))

    def algorithm(self, problem: Problem) -> Algorithm:
        assert isinstance(problem.pair, RefinedPair)  # as `pair` made it
        return semi_amortized(
            problem.pair,
            problem.bound,
            estimator_of(problem),
            problem.optimizer,
            example=problem.example,
            key=problem.key,
            prepare=problem.prepare,
        )
