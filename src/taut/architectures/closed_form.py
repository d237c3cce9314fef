"""`AbstractClosedForm`: architectures whose posterior and evidence are in closed form, fitted by EM."""

from dataclasses import dataclass
from typing import ClassVar

from taut.architectures.abstract import AbstractArchitecture
from taut.core import InputError, option
from taut.data import Schema

__all__ = ["AbstractClosedForm", "refuse_discrete"]


@dataclass(frozen=True)
class AbstractClosedForm(AbstractArchitecture):
    """A number of components, and where EM starts and stops.

    Attributes:
        components: number of classes or factors.
    """

    takes_holes: ClassVar[bool] = True
    default_floor: ClassVar[float | None] = None  # the resolution of the columns
    floor_is_rows: ClassVar[bool] = False  # pseudo-rows, and no share of a variance
    default_tolerance: ClassVar[float] = 1e-4
    default_restarts: ClassVar[int] = 4
    default_iterations: ClassVar[int] = 1000

    components: int = 4

    def __post_init__(self):
        if self.components < 1:
            raise InputError(
                "at least one component", f"{self.components}", "1 or more", where="components"
            )


def refuse_discrete(schema: Schema, where: str) -> None:
    """Refuse cells that a Gaussian density makes no sense of."""
    if schema.support in ("binary", "categorical"):
        raise InputError(
            "numbers, which a Gaussian is a density of", f"{schema.support} cells",
            option("model", "lca"),
            where=where,
        )  # fmt: skip
