"""`EM`: one M-step per pass over all rows, for models whose posterior is exact."""

from dataclasses import dataclass
from typing import ClassVar

from taut.architectures import PPCA, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, option
from taut.gradients import AbstractEstimator
from taut.inference.abstract import Claims
from taut.inference.exact.abstract import AbstractExact
from taut.inference.exact.candidate import Candidate, Task, fit_offline

__all__ = ["EM"]


@dataclass(frozen=True)
class EM(AbstractExact):
    """Expectation maximisation (EM), exact.

    Attributes:
        closed_form: fit probabilistic PCA by its closed form, without iterations.
    """

    name: ClassVar[str] = "em"
    claims: ClassVar[Claims] = Claims(raises="evidence", monotone=True, guides="exact")

    closed_form: bool = False

    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        super().check(architecture, bound, gradient)
        if self.closed_form and not isinstance(architecture, PPCA):
            raise InputError(
                f"{option('model', 'ppca')}, which has a closed form",
                option("model", architecture.name),
                f"leaving out {option('closed_form')}", where=option("closed_form"),
            )  # fmt: skip

    def fitted(self, task: Task) -> Candidate:
        return fit_offline(task, closed_form=self.closed_form)
