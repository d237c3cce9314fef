"""config.toml as a recipe, and files of options that people write.

Two forms are read: the tables of `Recipe.to_dict`, which say their `format`; and options by their flat
names, in sections of any name or none, with hyphens or underscores. Flat files that taut 0.1 wrote are
read under the names that options have since.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from taut.architectures import ARCHITECTURES, AbstractArchitecture, AbstractClosedForm, name_today
from taut.core import InputError, is_users, nearest, option
from taut.inference import AbstractExact
from taut.recipe.build import component_range, flat, recipe_of
from taut.recipe.recipe import FORMAT, Recipe
from taut.recipe.tables import CHOICES, OPTIONS_OF, option_named, options
from taut.runs import read_toml

__all__ = ["check_format", "flat_names", "read_config", "recipe_from"]

# Options of taut 0.1 that are called otherwise.
_RENAMED = {"warmup_steps": "learning_rate_warmup", "floor": "likelihood_floor"}
# In whose files the floor is EM's.
_OF_EM = [n for n, cls in ARCHITECTURES.items() if issubclass(cls, AbstractClosedForm)]
_EPOCHS = "kl-warmup"  # of taut 0.1, in epochs, whose steps depend on the data


def read_config(path: Path | str) -> dict[str, Any]:
    """A TOML file of options, by their flat names; `data` is the source.

    Raises:
        InputError: the file is missing or not TOML, a newer taut wrote it, or a key is unknown or given
            twice.
    """
    return options_in(read_toml(path), str(path))


def recipe_from(
    content: Mapping[str, Any],
    *,
    where: str = "config.toml",
    like: AbstractArchitecture | None = None,
    lenient: bool = False,
) -> Recipe:
    """The recipe that the content of a config.toml holds, whichever taut wrote it.

    Arguments:
        content: of the file.
        where: its name.
        like: the architecture, where a user wrote parts of it.
        lenient: leave out what else a user wrote, which the file only names, instead of refusing it.

    Raises:
        InputError: an unknown option, a wrong value, or a part that a user wrote.
    """
    if "format" in content:
        known = {k: v for k, v in content.items() if k != "model" or like is None}
        recipe = Recipe.from_dict(_without_users(known) if lenient else known)
        return recipe if like is None else replace(recipe, model=like)
    # Files of taut 0.1 hold the options that were given, by flat names.
    given = options_in({k: v for k, v in content.items() if not lenient or k != _EPOCHS}, where)
    source, stream = given.pop("data", None), given.pop("stream", "no")
    recipe = recipe_of({**given, "stream": stream})
    double = recipe.training.precision == "float64" or isinstance(recipe.inference, AbstractExact)
    data = replace(recipe.data, source=source, dtype="float64" if double else "float32")
    return replace(recipe, data=data, model=like or recipe.model)


def options_in(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options that a parsed file holds, by their flat names.

    Arguments:
        content: of the file.
        where: its name.

    Raises:
        InputError: as `read_config`.
    """
    check_format(content, where)
    if "format" in content and "posterior" in content:
        raise InputError(
            "options of a fit", "those of a posterior",
            f"`taut infer PROGRAM` with {option('config', where)}", where=where,
        )  # fmt: skip
    if "format" in content:
        for table in (*CHOICES, *OPTIONS_OF):
            if not isinstance(content.get(table, {}), Mapping):
                raise InputError(
                    "a table", repr(content[table]), f"[{table}]", where=f"{where}, {table}"
                )
        return flat(content)
    found = flat_names(content, where)
    if _EPOCHS.replace("-", "_") in found:
        raise InputError(
            f"{option('kl_warmup_steps')}, steps over which the KL's weight rises", f"{_EPOCHS}, epochs",
            "that many times the steps of an epoch", where=where,
        )  # fmt: skip
    found = _since_renamed(found)
    for name in found:
        if name not in ("data", "seed", *CHOICES) and option_named(name) is None:
            known = ["data", "seed", *CHOICES, *options()]
            raise InputError(
                "a known option", f"'{name.replace('_', '-')}'",
                nearest(name, known).replace("_", "-"), where=where,
            )  # fmt: skip
    return found


def check_format(content: Mapping[str, Any], where: str) -> None:
    """Refuse what a newer taut wrote.

    Raises:
        InputError: it did.
    """
    version = content.get("format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise InputError(
            f"format {FORMAT} or older", f"format {version}", "`pip install -U taut`", where=where
        )


def flat_names(
    content: Mapping[str, Any], where: str, *, tables: Collection[str] = ()
) -> dict[str, Any]:
    """Options in sections of any name or none, by their names with underscores.

    Arguments:
        content: of the file.
        where: its name.
        tables: options whose value is a table.

    Raises:
        InputError: one is given twice.
    """
    found: dict[str, Any] = {}
    for key, value in _entries(content, tables):
        name = key.replace("-", "_")
        if name in found:
            raise InputError("each option once", f"'{key}' twice", "one of them", where=where)
        found[name] = value
    return found


def _without_users(content: Mapping[str, Any]) -> dict[str, Any]:
    """A nested table without the parts that it only names."""
    return {
        name: _without_users(value) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if not is_users(value)
    }


def _since_renamed(found: dict[str, Any]) -> dict[str, Any]:
    """Options of a flat file under the names that they have."""
    if "model" in found:
        found["model"] = name_today(found["model"], found)
    for old, new in _RENAMED.items():
        if old in found and not (old == "floor" and found.get("model") in _OF_EM):
            found[new] = found.pop(old)
    numbers = found.get("components")
    if isinstance(numbers, str):
        several = component_range(numbers)
        found |= {"components": several[0], "candidates": several if len(several) > 1 else None}
    if "wake_sleep" in found:
        found |= {"inference": "wake-sleep", "phi": found.pop("wake_sleep")}
    if found.get("bound", "elbo") == "elbo" and "num_particles" in found:
        found["num_draws"] = found.pop("num_particles")
    return found


def _entries(content: Mapping[str, Any], tables: Collection[str] = ()) -> list[tuple[str, Any]]:
    """Keys and values of all sections; a table that says its name is a choice, not a section."""
    pairs: list[tuple[str, Any]] = []
    for key, value in content.items():
        section = isinstance(value, Mapping) and "name" not in value and key not in tables
        pairs += _entries(value, tables) if section else [(key, value)]
    return pairs
