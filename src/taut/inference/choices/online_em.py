"""`OnlineEM`: one M-step per batch, for data larger than memory."""

from dataclasses import dataclass
from typing import ClassVar

from taut.core import InputError, option
from taut.inference.abstract import Claims
from taut.inference.exact.abstract import AbstractExact
from taut.inference.exact.candidate import Candidate, Task, fit_online

__all__ = ["OnlineEM"]


@dataclass(frozen=True)
class OnlineEM(AbstractExact):
    """EM on a sample of the rows, then an M-step after every batch.

    Attributes:
        passes: passes over the rows; also a part of one.
        em_batch_size: rows of a batch; the last one of a pass has what is left.
    """

    name: ClassVar[str] = "online-em"
    claims: ClassVar[Claims] = Claims(raises="evidence", guides="exact")

    passes: float = 1.0
    em_batch_size: int = 10_000

    def __post_init__(self):
        super().__post_init__()
        if self.em_batch_size < 1:
            raise InputError(
                "a whole number of at least 1",
                f"{self.em_batch_size}",
                "1000",
                where=option("em_batch_size"),
            )
        if not 0 < self.passes < float("inf"):
            raise InputError("a positive number", f"{self.passes}", "1", where="passes")

    def fitted(self, task: Task) -> Candidate:
        return fit_online(task, passes=self.passes, batch_size=self.em_batch_size)
