"""`AbstractExact`: inferences of models whose posterior is in closed form."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from taut.architectures import ARCHITECTURES, AbstractArchitecture, AbstractClosedForm
from taut.bounds import AbstractBound
from taut.core import InputError, option
from taut.data import Data
from taut.gradients import AbstractEstimator
from taut.inference.abstract import AbstractInference
from taut.inference.exact.candidate import Candidate, Report, Task
from taut.inference.exact.restarts import Floor
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel

__all__ = ["AbstractExact", "Select"]

Select = Literal["evidence", "bic"]


@dataclass(frozen=True)
class AbstractExact(AbstractInference):
    """What EM over all rows and online EM have in common.

    Attributes:
        restarts: random starts, the best of which is kept; None for 4, or 1 with ppca and fa.
        tolerance: EM stops when fewer nats per row remain to be gained; None for 1e-4, or 1e-6 with
            ppca and fa.
        max_iterations: largest number of iterations of each start; None for 1000, or 20000 with ppca
            and fa.
        floor: keeps densities and probabilities off the boundary: the least variance in each column
            as a share of the column's own, with lca pseudo-rows of every value, or with mixed
            pseudo-rows that every component sees, spread as the columns are; 0 for maximum
            likelihood; None for the variance that the column's rounding leaves unknown, or 1 with
            lca and mixed.
        reg_covar: added to the variances of a Gaussian mixture instead of `floor`, in squared units
            of the data; the evidence may then fall now and then.
        candidates: numbers of components to choose from, such as 2,4,8; None for the number of the
            architecture alone.
        select: with several numbers of components, what decides: `evidence`, the mean log-evidence
            of the validation rows, or `bic`, the Bayesian information criterion on the training
            rows.
    """

    takes_gradient: ClassVar[bool] = False

    restarts: int | None = None
    tolerance: float | None = None
    max_iterations: int | None = None
    floor: float | None = None
    reg_covar: float = 0.0
    candidates: tuple[int, ...] | None = None
    select: Select = "evidence"

    def __post_init__(self):
        if self.restarts is not None and self.restarts < 1:
            raise InputError("at least one start", f"{self.restarts}", "4", where="restarts")
        if self.max_iterations is not None and self.max_iterations < 1:
            raise InputError(
                "a whole number of at least 1", f"{self.max_iterations}", "1000",
                where=option("max_iterations"),
            )  # fmt: skip
        for name in ("tolerance", "floor", "reg_covar"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InputError("a number of at least 0", f"{value}", "1e-6", where=option(name))
        if self.candidates is not None and (
            not self.candidates or len(set(self.candidates)) != len(self.candidates)
        ):
            raise InputError(
                "one or more different numbers", f"{list(self.candidates)}", "1-10",
                where="candidates",
            )  # fmt: skip
        if self.select not in get_args(Select):
            raise InputError("evidence or bic", repr(self.select), "evidence", where="select")
        if self.floor and self.reg_covar:
            raise InputError(
                "a floor or a constant on the diagonal",
                "both",
                "one of them",
                where=option("reg_covar"),
            )

    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        """Refuse a model whose posterior is not exact, a bound and an estimator.

        Raises:
            InputError: names what would do.
        """
        if not isinstance(architecture, AbstractClosedForm):
            exact = [n for n, cls in ARCHITECTURES.items() if issubclass(cls, AbstractClosedForm)]
            raise InputError(
                f"a model whose posterior is exact: {', '.join(exact[:-1])} or {exact[-1]}",
                option("model", architecture.name),
                option("inference", architecture.default_inference), where=self.name,
            )  # fmt: skip
        if bound is not None:
            raise InputError(
                "no bound, for EM raises the evidence itself", option("bound", bound.name),
                f"leaving out the bound, or {option('inference', 'joint')}", where=self.name,
            )  # fmt: skip
        self._refuse_gradient(gradient, "no gradient, for EM takes none")

    def floor_of(self, architecture: AbstractClosedForm) -> Floor:
        """The floor that was chosen, or the architecture's own."""
        default = architecture.default_floor if self.reg_covar == 0 else 0.0
        strength = default if self.floor is None else self.floor
        return Floor(strength, self.reg_covar, pseudo_rows=architecture.floor_is_rows)

    def options(self, architecture: AbstractClosedForm) -> dict[str, Any]:
        """Restarts, tolerance and iterations that were chosen, or the architecture's own."""
        restarts = architecture.default_restarts if self.restarts is None else self.restarts
        tolerance = architecture.default_tolerance if self.tolerance is None else self.tolerance
        return {
            "restarts": restarts,
            "tolerance": tolerance,
            "max_iterations": self.max_iterations or architecture.default_iterations,
        }

    def fit(
        self,
        architecture: AbstractClosedForm,
        given: Data,
        *,
        seed: int,
        start: AbstractExactModel | None = None,
        report: Report | None = None,
        stages: AbstractStages = UNKEPT,
    ) -> Candidate:
        """A fitted model with what it is judged by; arguments as of `Task`.

        Raises:
            InputError: more components than rows, or a start of another shape.
            RunError: the objective fell, or a covariance became singular.
        """
        floor, options = self.floor_of(architecture), self.options(architecture)
        return self.fitted(
            Task(
                architecture,
                given,
                floor,
                seed,
                **options,
                start=start,
                report=report,
                stages=stages,
            )
        )

    @abstractmethod
    def fitted(self, task: Task) -> Candidate:
        """The same of a task."""
