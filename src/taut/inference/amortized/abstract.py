"""`AbstractAmortized`: inferences that move parameters batch by batch, under a guide."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import optax
from jaxtyping import Array, Int, PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractPair, Datum, InputError, option
from taut.gradients import AbstractEstimator
from taut.inference.abstract import AbstractInference
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.batch_surrogate import Prepare

__all__ = ["AbstractAmortized", "Problem", "estimator_of"]


class Problem(NamedTuple):
    """What is to be fitted.

    Attributes:
        architecture: what the pair was made by.
        pair: initial parameters, as `AbstractAmortized.pair` returned them.
        bound: what is maximised.
        gradient: how it is differentiated; None where the inference takes none.
        optimizer: of all parameters; of each side with a state of its own where sides move apart.
        example: one row, from which an estimator makes its own state.
        key: random key of the run.
        prepare: from a stored datum to what the model sees this time; None for the datum itself.
        probe: number -> that many random training rows, or all, for a schedule that looks at them.
        adam: peak of a step size -> Adam with it, of parameters that have one of their own, under the
            schedule and the clipping of the run.
    """

    architecture: AbstractArchitecture
    pair: AbstractPair
    bound: AbstractBound
    gradient: AbstractEstimator | None
    optimizer: optax.GradientTransformation
    example: Datum
    key: PRNGKeyArray
    prepare: Prepare | None = None
    probe: Callable[[int], Datum] | None = None
    adam: Callable[[float], optax.GradientTransformation] = optax.adam


class AbstractAmortized(AbstractInference):
    """An `Algorithm` for the loop over data, and the pair that it needs."""

    takes_gradient: ClassVar[bool] = True

    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        if architecture.default_inference == "codebook-averages":
            raise InputError(
                f"a guide that draws z at random, for {self.name}",
                f"{option('model', architecture.name)}, whose codes are certain",
                f"{option('model', 'discrete')}, or {option('inference', 'codebook-averages')}",
                where="inference",
            )  # fmt: skip

    def default_bound(self, architecture: AbstractArchitecture) -> AbstractBound:
        """What is maximised where no bound is asked for."""
        return ELBO(num_draws=architecture.default_draws)

    def pair(
        self, pair: AbstractPair, numbers: Int[Array, " N"], key: PRNGKeyArray
    ) -> AbstractPair:
        """What the architecture made, as this inference needs it; also of shapes alone.

        Arguments:
            pair: from the architecture.
            numbers: of the training rows in their data set. Of a saved run, which brings its own,
                any N.
            key: random key.

        Raises:
            InputError: a guide that is not served.
        """
        return pair

    @abstractmethod
    def algorithm(self, problem: Problem) -> Algorithm:
        """The algorithm that solves the problem."""

    def fitted_to(
        self,
        pair: AbstractPair,
        rows: Datum,
        bound: AbstractBound,
        gradient: AbstractEstimator | None,
        key: PRNGKeyArray,
    ) -> AbstractPair:
        """The pair to measure given rows with, whose model is that of `pair` to the last bit.

        Arguments:
            pair: fitted parameters.
            rows: rows to be measured, batched; where none was trained on, the guide is fitted to them
                if it has to be, and the model never.
            bound: what a guide is fitted by.
            gradient: how it is differentiated.
            key: random key; the result is a function of it and the other arguments.
        """
        return pair


def estimator_of(problem: Problem) -> AbstractEstimator:
    """The gradient of a problem that has one."""
    gradient: Any = problem.gradient
    assert gradient is not None  # the architecture has a default
    return gradient
