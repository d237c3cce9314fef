"""`ProgramRecipe`: what was asked of `taut.infer`, a typed value that a file holds and repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taut.core import InputError, nearest, option, pythonic
from taut.inference.posterior import PosteriorOptions
from taut.recipe.build import typed_seed
from taut.recipe.config import check_format, flat_names
from taut.recipe.option import typed
from taut.recipe.recipe import FORMAT
from taut.recipe.tables import options_of

__all__ = ["ProgramRecipe", "batch_sizes"]


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "posterior", pythonic(self.posterior))

    def to_dict(self) -> dict[str, Any]:
        """What TOML holds of it."""
        named = {"seed": self.seed, "program": self.program, "data": self.data}
        present = {name: value for name, value in named.items() if value is not None}
        return {"format": FORMAT, **present, "posterior": self.posterior.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str = "recipe") -> "ProgramRecipe":
        """The inverse of `to_dict`; also reads options in sections of any name or none.

        Arguments:
            content: of a config.toml, or of a file of options that someone wrote.
            where: its name.

        Raises:
            InputError: a newer format, an unknown option or a wrong value.
        """
        check_format(content, where)
        known = options_of(PosteriorOptions, "posterior")
        if "format" in content and "posterior" not in content:
            raise InputError(
                "options of a posterior", "those of a fit",
                f"`taut fit DATA` with {option('config', where)}", where=where,
            )  # fmt: skip
        found = flat_names(content, where, tables=["subsample"])
        own = {name: found.pop(name) for name in ("program", "data") if name in found}
        for name, value in own.items():
            if not isinstance(value, str):
                raise InputError("the name of a file", repr(value), repr(f"{value}"), where=name)
        seed = typed_seed(found.pop("seed", 0))
        found.pop("format", None)
        for name in found:
            if name not in known:
                raise InputError(
                    "an option of taut infer", f"'{name}'",
                    nearest(name, ["program", "data", "seed", *known]), where=where,
                )  # fmt: skip
        values = {
            name: batch_sizes(value) if name == "subsample" else typed(known[name], value)
            for name, value in found.items()
        }
        return cls(**own, posterior=PosteriorOptions.from_dict(values), seed=seed)


def batch_sizes(wanted: Any) -> Mapping[str, int] | None:
    """ "rows:1000" as {"rows": 1000}, and such a table as it is.

    Raises:
        InputError: anything else.
    """
    if wanted is None or isinstance(wanted, Mapping):
        return wanted
    name, colon, size = str(wanted).rpartition(":")
    if not (colon and name and size.isdecimal() and int(size) > 0):
        raise InputError("PLATE:ROWS", repr(wanted), "rows:1000", where="subsample")
    return {name: int(size)}
