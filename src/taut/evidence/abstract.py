"""`AbstractMethod`: a way to estimate log p(x) of rows; a choice of plain options with claims."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Choice, Datum, InputError, Side
from taut.evidence.importance import Evidence
from taut.evidence.simulated import Simulated

__all__ = ["AbstractMethod", "Claims"]


class Claims(NamedTuple):
    """What a method promises of each row; the laws are generated from it.

    Attributes:
        side: of its log-evidence, in expectation over its draws.
        unbiased: whether the estimate of p(x) itself, before the logarithm, is unbiased.
        latents: which latents it takes: `any`, or `continuous` ones alone.
    """

    side: Side
    unbiased: bool
    latents: Literal["any", "continuous"] = "any"


class AbstractMethod(Choice):
    """Options without arrays; a frozen dataclass."""

    claims: ClassVar[Claims]

    @property
    def label(self) -> str:
        """The name, with what tells it from the same method with its own options."""
        return self.name

    @abstractmethod
    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        """Log-evidence of each row, with the errors and flags of its draws.

        Arguments:
            pair: model and guide.
            rows: a batched datum.
            key: random key; a row draws from its `key_of_row`.

        Raises:
            InputError: a model or guide that the method cannot take; names one that can.
        """

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        """The same for rows whose latents are known, with `upper` an upper end in expectation.

        Arguments:
            pair: model and guide.
            made: rows and the latents that made them.
            key: random key.

        Raises:
            InputError: as above; a method or a guide without an upper end.
        """
        raise InputError(
            "a method with an upper end for rows whose latents are known", "one without",
            "importance", where=self.name,
        )  # fmt: skip
