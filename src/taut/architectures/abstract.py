"""`AbstractArchitecture`: the choices that make a model and a guide for data of a given schema.

An architecture is a frozen dataclass of plain choices and, where a user brought them, of objects. The
plain ones are written to JSON; the user's are named there and must be brought again on loading.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.choices import refuse_users_parts
from taut.bounds import AbstractBound
from taut.core import AbstractPair, Choice, Datum, options_from_dict
from taut.data import Schema
from taut.gradients import AbstractEstimator, Reparameterized

__all__ = ["AbstractArchitecture"]

_Own = TypeVar("_Own", bound="AbstractArchitecture")


@dataclass(frozen=True)
class AbstractArchitecture(Choice):
    """Choices without arrays; `init` turns them into parameters."""

    name: ClassVar[str]
    takes_holes: ClassVar[bool] = False  # rows with missing cells, which its density leaves out
    takes_kinds: ClassVar[bool] = False  # tables whose columns differ in kind
    learns_classes: ClassVar[bool] = False  # a target's classes are a latent that labels tell
    default_draws: ClassVar[int] = 1  # of the ELBO, a row and step
    default_inference: ClassVar[str] = "joint"  # that fits it unless another is asked for

    @abstractmethod
    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        """Fresh parameters for data of this schema.

        Raises:
            InputError: the parts do not fit each other or the data.
        """

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """The pair with what the training rows decide before the first step; unchanged by default.

        Arguments:
            pair: from `init`.
            rows: training rows or a sample of them, batched.
            schema: what they are.
        """
        return pair

    def gradient(self, bound: AbstractBound) -> tuple[AbstractEstimator, str | None]:
        """The estimator where none is asked for, and why where there was a choice."""
        return Reparameterized(), None

    def resolved(self: _Own, schema: Schema) -> tuple[_Own, dict[str, str]]:
        """The same choices with every open one made, and the reason for each, by its name."""
        return self, {}

    @abstractmethod
    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        """Refuse rows that the model has no density for.

        Arguments:
            schema: what the rows are.
            x: rows, (N, *shape).
            where: what a message is about, such as "digits, training rows".

        Raises:
            InputError: names the first bad row and cell.
        """

    @classmethod
    def from_dict(cls: type[_Own], content: Mapping[str, Any]) -> _Own:
        """The inverse of `to_dict` for choices that are all plain.

        Raises:
            InputError: some part was a user's own object.
        """
        refuse_users_parts(content)
        return options_from_dict(cls, {k: v for k, v in content.items() if k != "name"})
