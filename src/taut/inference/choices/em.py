"""`EM`: one M-step per pass over all rows, for models whose posterior is exact."""

from dataclasses import dataclass
from typing import ClassVar

from taut.architectures import FA, GMM, LCA, PPCA, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, option
from taut.data import Data
from taut.gradients import AbstractEstimator
from taut.inference.abstract import Claims
from taut.inference.exact.abstract import AbstractExact, Report
from taut.inference.exact.candidate import Candidate, fit_offline
from taut.models import AbstractExactModel

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

    def fit(
        self,
        architecture: GMM | LCA | PPCA | FA,
        given: Data,
        *,
        seed: int,
        start: AbstractExactModel | None = None,
        report: Report | None = None,
    ) -> Candidate:
        return fit_offline(
            architecture,
            given,
            self.floor_of(architecture),
            seed=seed,
            **self.options(architecture),
            closed_form=self.closed_form,
            start=start,
            report=report,
        )
