"""`Recipe`: what was asked of a fit, a typed value that a file holds and that repeats the run.

Recipe.from_dict(recipe.to_dict())        the same recipe, unless a part of it was written by a user
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_origin, get_type_hints

from taut.architectures import VAE, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, chosen, is_users, plain, pythonic
from taut.core.choices import NONE
from taut.data import DataOptions
from taut.evidence import EvidenceOptions
from taut.gradients import AbstractEstimator
from taut.inference import AbstractInference, Joint
from taut.recipe.option import typed
from taut.recipe.tables import CHOICES, OPTIONS_OF, options_of
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

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, pythonic(getattr(self, item.name)))

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
        version, seed = content.get("format", FORMAT), content.get("seed")
        if not isinstance(version, int) or version > FORMAT:
            raise InputError(
                f"format {FORMAT} or older", f"format {version!r}",
                "`pip install -U taut`", where="recipe",
            )  # fmt: skip
        if isinstance(seed, bool) or not isinstance(seed, int | None):
            raise InputError("a whole number", repr(seed), "0", where="recipe, seed")
        for table, registry in CHOICES.items():
            if table in content:
                value = content[table]
                if is_users(value):
                    raise InputError(
                        "parts that are all taut's own",
                        f"the {table} {value['user']}, which a user wrote",
                        f"taut.fit in Python, with the same object as {table}", where="recipe",
                    )  # fmt: skip
                if not isinstance(value, str):  # which is a name alone
                    value = _typed(table, registry, value)
                parts[table] = chosen(registry, value, table)
        for table, kind in OPTIONS_OF.items():
            if table in content:
                parts[table] = kind.from_dict(_typed(table, kind, content[table]))
        return cls(seed=seed, **parts)


def _typed(table: str, kind: type | Mapping[str, type], content: Any) -> Mapping[str, Any]:
    """A table with its plain values as the types of the options of a dataclass, or of a choice.

    Raises:
        InputError: a value of another kind.
    """
    if not isinstance(content, Mapping):
        raise InputError("a table", repr(content), f"[{table}]", where=f"recipe, {table}")
    if isinstance(kind, Mapping):
        name = str(content.get("name", ""))
        if name not in kind:  # and is refused by it
            return content
        kind = kind[name]
    readers, hints = getattr(kind, "readers", {}), get_type_hints(kind)
    values = dict(content)
    for name, option in options_of(kind, table).items():
        if name in values and name not in readers and values[name] != NONE:
            values[name] = typed(option, values[name], where=f"recipe, {table}.{name}")
    for name, value in values.items():
        if get_origin(hints.get(name)) is Mapping and not isinstance(value, Mapping):
            raise InputError("a table", repr(value), f"[{table}.{name}]", where=f"recipe, {table}")
    return values


def _plain_part(part: Any) -> dict[str, Any]:
    """A part as TOML holds it; a user's object by its name."""
    ours = type(part).__module__.partition(".")[0] == "taut"
    return part.to_dict() if ours else plain(part)
