"""`Recipe`: what was asked of a fit, a typed value that a file holds and that repeats the run.

Recipe.from_dict(recipe.to_dict())        the same recipe, unless a part of it was written by a user
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taut.architectures import VAE, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, chosen, is_users, plain
from taut.data import DataOptions
from taut.evidence import EvidenceOptions
from taut.gradients import AbstractEstimator
from taut.inference import AbstractInference, Joint
from taut.recipe.tables import CHOICES, OPTIONS_OF
from taut.training import TrainingOptions

__all__ = ["FORMAT", "Recipe"]

FORMAT = 2


@dataclass(frozen=True)
class Recipe:
    """What a fit is made of.

    Attributes:
        data: which rows, and what they look like.
        model: the architecture.
        bound: what is maximised; None for what the inference and the gradient go with.
        gradient: how it is differentiated; None leaves it to the architecture and the bound.
        inference: what moves model and guide.
        training: how, for how long, and when it is looked at.
        evidence: how the numbers at the end are measured.
        seed: what everything random follows from; None for a key that is no whole number.
    """

    data: DataOptions = field(default_factory=DataOptions)
    model: AbstractArchitecture = field(default_factory=VAE)
    bound: AbstractBound | None = None
    gradient: AbstractEstimator | None = None
    inference: AbstractInference = field(default_factory=Joint)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    evidence: EvidenceOptions = field(default_factory=EvidenceOptions)
    seed: int | None = 0

    def to_dict(self) -> dict[str, Any]:
        """What TOML holds of it: a table for each part."""
        parts = {
            "data": self.data, "model": self.model, "bound": self.bound, "gradient": self.gradient,
            "inference": self.inference, "training": self.training, "evidence": self.evidence,
        }  # fmt: skip
        content: dict[str, Any] = {"format": FORMAT}
        if self.seed is not None:
            content["seed"] = self.seed
        return content | {
            name: _plain_part(part) for name, part in parts.items() if part is not None
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Recipe":
        """The inverse of `to_dict`.

        Raises:
            InputError: a newer format, an unknown option, a wrong value, or a part that a user wrote.
        """
        parts: dict[str, Any] = {}
        if content.get("format", FORMAT) > FORMAT:
            raise InputError(
                f"format {FORMAT} or older", f"format {content['format']}",
                "`pip install -U taut`", where="recipe",
            )  # fmt: skip
        for table, registry in CHOICES.items():
            if table in content:
                value = content[table]
                if is_users(value):
                    raise InputError(
                        "parts that are all taut's own",
                        f"the {table} {value['user']}, which a user wrote",
                        f"taut.fit in Python, with the same object as {table}", where="recipe",
                    )  # fmt: skip
                parts[table] = chosen(registry, value, table)
        for table, kind in OPTIONS_OF.items():
            if table in content:
                parts[table] = kind.from_dict(content[table])
        return cls(seed=content.get("seed"), **parts)


def _plain_part(part: Any) -> dict[str, Any]:
    """A part as TOML holds it; a user's object by its name."""
    ours = type(part).__module__.partition(".")[0] == "taut"
    return part.to_dict() if ours else plain(part)
