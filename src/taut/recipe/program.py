"""`ProgramRecipe`: what was asked of `taut.infer`, a typed value that a file holds and repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taut.core import InputError
from taut.inference.posterior import PosteriorOptions
from taut.recipe.recipe import FORMAT

__all__ = ["ProgramRecipe"]


@dataclass(frozen=True)
class ProgramRecipe:
    """The posterior of a program.

    Attributes:
        program: FILE.py or FILE.py:name, as typed; None for a function in Python.
        data: the JSON file of its data, as typed; None for none, or data in Python.
        posterior: how the guide is fitted and its draws are weighed.
        seed: what everything random follows from; None for a key that is no whole number.
    """

    program: str | None = None
    data: str | None = None
    posterior: PosteriorOptions = field(default_factory=PosteriorOptions)
    seed: int | None = 0

    def to_dict(self) -> dict[str, Any]:
        """What TOML holds of it."""
        named = {"seed": self.seed, "program": self.program, "data": self.data}
        present = {name: value for name, value in named.items() if value is not None}
        return {"format": FORMAT, **present, "posterior": self.posterior.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ProgramRecipe":
        """The inverse of `to_dict`; also reads the flat files of taut 0.1.

        Raises:
            InputError: a newer format, an unknown option or a wrong value.
        """
        if content.get("format", FORMAT) > FORMAT:
            raise InputError(
                f"format {FORMAT} or older", f"format {content['format']}",
                "`pip install -U taut`", where="recipe",
            )  # fmt: skip
        own = {k: v for k, v in content.items() if k not in ("format", "seed", "program", "data")}
        options = own.pop("posterior", {k.replace("-", "_"): v for k, v in own.items()})
        if isinstance(options.get("subsample"), str):
            plate, _, rows = options["subsample"].rpartition(":")
            options = {**options, "subsample": {plate: int(rows)}}
        return cls(
            program=content.get("program"), data=content.get("data"),
            posterior=PosteriorOptions.from_dict(options), seed=content.get("seed", 0),
        )  # fmt: skip
