"""`EvidenceOptions`: how the numbers at the end of a fit are measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taut.core import InputError, option, options_from_dict, options_to_dict

__all__ = ["EvidenceOptions"]


@dataclass(frozen=True)
class EvidenceOptions:
    """What the log-evidence of the test rows costs; no part of training.

    Attributes:
        evidence_particles: draws of z for each test row that the log-evidence at the end is
            estimated with; more take longer and make it tighter.
    """

    evidence_particles: int = 1000

    def __post_init__(self):
        if self.evidence_particles < 2:
            raise InputError(
                "at least two particles, which an error needs", f"{self.evidence_particles}", "1000",
                where=option("evidence_particles"),
            )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The options as TOML holds them."""
        return options_to_dict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "EvidenceOptions":
        """The inverse of `to_dict`.

        Raises:
            InputError: an unknown option or a wrong value.
        """
        return options_from_dict(cls, content)
