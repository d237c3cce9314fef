"""`PerDatum`: every row has variational parameters of its own, and there is no encoder."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError, Pair, option
from taut.gradients import AbstractEstimator
from taut.guides import AmortizedGuide, PerDatumGuide, VampPair
from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem, estimator_of
from taut.inference.amortized.per_datum import per_datum
from taut.inference.amortized.unseen_rows import table_for

__all__ = ["PerDatum"]


@dataclass(frozen=True)
class PerDatum(AbstractAmortized):
    """Every row has its own parameters of q(z | x), without an encoder.

    Rows that were not trained on are measured by a table that is fitted to them with the model held
    fixed.

    Attributes:
        row_learning_rate: step size of Adam in a row's own parameters, which follows the schedule, the
            warm-up and the clipping of the training.
        row_steps: steps in the parameters of the rows of a batch before each step in the model.
        unseen_row_steps: steps in the parameters of a row that was not trained on.
    """

    name: ClassVar[str] = "per-datum"
    claims: ClassVar[Claims] = Claims(raises="bound", serves_unseen=False, guides="encoder")

    row_learning_rate: float = 0.05
    row_steps: int = 1
    unseen_row_steps: int = 500

    def __post_init__(self):
        if not 0 < self.row_learning_rate < float("inf"):
            raise InputError(
                "a positive number",
                f"{self.row_learning_rate}",
                "0.05",
                where=option("row_learning_rate"),
            )
        for name in ("row_steps", "unseen_row_steps"):
            if getattr(self, name) < 1:
                raise InputError(
                    "at least one step", f"{getattr(self, name)}", "1", where=option(name)
                )

    def pair(
        self, pair: AbstractPair, numbers: Int[Array, " N"], key: PRNGKeyArray
    ) -> AbstractPair:
        if isinstance(pair, VampPair):
            raise InputError(
                "a prior of its own, as there is no encoder whose posteriors a VampPrior could average",
                "the prior vamp", option("prior", "mixture:10"), where="per-datum",
            )  # fmt: skip
        model, guide = pair.bind()
        if not isinstance(guide, AmortizedGuide):
            raise InputError(
                "a guide made of one variational family",
                f"a {type(guide).__name__}", option("inference", "joint"), where="per-datum",
            )  # fmt: skip
        family: Any = guide.family
        table = jnp.zeros((numbers.shape[0], family.num_features))
        return Pair(model, PerDatumGuide(table, jnp.sort(jnp.asarray(numbers)), family))

    def algorithm(self, problem: Problem) -> Algorithm:
        model, guide = problem.pair.bind()
        assert isinstance(guide, PerDatumGuide)  # as `pair` made it
        return per_datum(
            model,
            guide,
            problem.bound,
            estimator_of(problem),
            problem.adam(self.row_learning_rate),
            example=problem.example,
            key=problem.key,
            model_optimizer=problem.optimizer,
            inner_steps=self.row_steps,
            prepare=problem.prepare,
        )

    def fitted_to(
        self,
        pair: AbstractPair,
        rows: Datum,
        bound: AbstractBound,
        gradient: AbstractEstimator | None,
        key: PRNGKeyArray,
    ) -> AbstractPair:
        model, guide = pair.bind()
        assert isinstance(guide, PerDatumGuide)
        assert gradient is not None
        table = table_for(
            model, guide.family, rows, bound, gradient, key,
            learning_rate=self.row_learning_rate, num_steps=self.unseen_row_steps,
        )  # fmt: skip
        return Pair(model, table)
