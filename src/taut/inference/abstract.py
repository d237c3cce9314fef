"""`AbstractInference`: how the parameters of a model are found; the fifth choice of a fit.

A choice is a frozen dataclass of plain options. What it promises is in its `claims`, which the laws
are generated from; what it goes together with is checked by `check`, before anything is computed.
"""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import Choice, InputError, option
from taut.gradients import AbstractEstimator

__all__ = ["AbstractInference", "Claims"]


class Claims(NamedTuple):
    """What an inference promises.

    Attributes:
        raises: what all its updates raise together: the `bound` that is reported, the `evidence`
            itself, or `none`, no one function.
        monotone: whether the objective never falls, rounding aside.
        alternates: whether one of model and guide rests, to the last bit, while the other moves.
        serves_unseen: whether the fitted guide serves rows that were not trained on.
        guides: which guides it takes: `any` with a density, an `encoder` with a variational family,
            the `nearest-codes` of a codebook, or the `exact` posterior.
    """

    raises: Literal["bound", "evidence", "none"]
    monotone: bool = False
    alternates: bool = False
    serves_unseen: bool = True
    guides: Literal["any", "encoder", "nearest-codes", "exact"] = "any"


class AbstractInference(Choice):
    """Options without arrays."""

    name: ClassVar[str]
    claims: ClassVar[Claims]
    takes_gradient: ClassVar[bool]  # whether the gradient estimator is a choice

    @abstractmethod
    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        """Refuse what does not go together.

        Arguments:
            architecture: what makes model and guide.
            bound: what is maximised; None for the inference's own.
            gradient: how it is differentiated, where one was asked for.

        Raises:
            InputError: names what would do.
        """

    def default_bound(self, architecture: AbstractArchitecture) -> AbstractBound | None:
        """What is maximised where no bound is asked for; None where no bound is."""
        return None

    def departure(self, architecture: AbstractArchitecture) -> str | None:
        """In words, how what is climbed differs from the bound; None where it does not."""
        return None

    def _refuse_gradient(self, gradient: AbstractEstimator | None, expected: str) -> None:
        if gradient is not None:
            raise InputError(
                expected,
                option("gradient", gradient.name),
                "leaving out the gradient",
                where="gradient",
            )
