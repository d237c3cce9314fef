"""`AbstractStages`: a fit as a fixed sequence of stages, of which those that are done are kept.

An algorithm asks for its stages in the order in which it needs them. What a stage returns follows from
the options, the data and the key alone, so that a fit that is stopped and asked again finds the stages
that were finished, goes on inside the one that was not, and ends with the same bytes. Where and when
anything is written is the caller's business: algorithms touch no files.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["UNKEPT", "AbstractStages"]

_T = TypeVar("_T")


class AbstractStages(ABC):
    """Stages of a fit in their order.

    Attributes:
        notes: a sentence for each file that was passed over.
    """

    notes: tuple[str, ...] = ()

    @abstractmethod
    def once(self, like: _T, compute: Callable[[], _T]) -> _T:
        """The result of the next stage: as it was kept, or computed and kept.

        Arguments:
            like: a result of the same form; an axis of length 0 stands for any length.
            compute: makes it, and may call `begun` and `reached`.
        """

    @abstractmethod
    def begun(self, like: Callable[[], _T]) -> _T | None:
        """The state to go on from inside the stage at hand; None for its start.

        Arguments:
            like: makes a state of the same form, as of `once`.
        """

    @abstractmethod
    def reached(self, state: Callable[[], Any], cells: int) -> None:
        """Called after every step inside a stage, where it may be stopped.

        Arguments:
            state: makes what `begun` would have to return.
            cells: numbers that the step went through, by which states are kept now and then.

        Raises:
            KeyboardInterrupt: an interrupt was waiting; the state is kept.
        """


class _Unkept(AbstractStages):
    """Nothing is kept."""

    def once(self, like: _T, compute: Callable[[], _T]) -> _T:
        return compute()

    def begun(self, like: Callable[[], _T]) -> _T | None:
        return None

    def reached(self, state: Callable[[], Any], cells: int) -> None:
        return None


UNKEPT = _Unkept()
