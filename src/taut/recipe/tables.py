"""The tables of a recipe and every option in them, made of the registries: a choice needs no line.

table        what it holds
data         `DataOptions`
model        an architecture
likelihood   the options of its likelihood (part of the architecture)
bound, gradient, inference   choices of their registries
training     `TrainingOptions`
evidence     `EvidenceOptions`
"""

import dataclasses
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

from taut.architectures import ARCHITECTURES
from taut.bounds import BOUNDS
from taut.data import DataOptions
from taut.evidence import EvidenceOptions
from taut.gradients import ESTIMATORS
from taut.inference import INFERENCES
from taut.models.likelihoods import LIKELIHOODS
from taut.recipe.option import Option, attribute_docs, parameter_docs
from taut.training import TrainingOptions

__all__ = ["CHOICES", "OPTIONS_OF", "option_named", "option_of", "options", "options_of"]

# In the order in which a name that two of them have is given: the first keeps it as it is.
CHOICES: dict[str, Mapping[str, type]] = {
    "model": ARCHITECTURES,
    "bound": BOUNDS,
    "gradient": ESTIMATORS,
    "inference": INFERENCES,
}
OPTIONS_OF: dict[str, type] = {
    "data": DataOptions,
    "training": TrainingOptions,
    "evidence": EvidenceOptions,
}
_ORDER = ("model", "training", "bound", "evidence", "inference", "likelihood", "gradient", "data")
_NO_OPTIONS = (
    "source",
    "name",
    "dtype",
)  # an argument, and two that follow from it and --precision


@cache
def options() -> dict[str, Option]:
    """Every option by its name, in the order of the tables."""
    found: dict[str, Option] = {}
    for table in _ORDER:
        for field, option in _fields(table).items():
            name = option.name
            if name in found:
                name = f"{table}_{name}"
            found[name] = option._replace(name=name, field=field)
    return found


def option_named(name: str) -> Option | None:
    """The option of a name with hyphens or underscores, or of the field that it stands for."""
    name = name.replace("-", "_")
    known = options()
    if name in known:
        return known[name]
    fields = [o for o in known.values() if o.field == name]
    return fields[0] if len(fields) == 1 else None


def option_of(option: Option, choice: str) -> Option:
    """The option as one choice of its table has it, with its own default and meaning."""
    if option.table == "likelihood":
        return _of_signature(LIKELIHOODS[choice], choice)[option.field]
    return options_of(CHOICES[option.table][choice], option.table, (choice,))[option.field]


def _fields(table: str) -> dict[str, Option]:
    """The options of a table by field, each with the choices that have it."""
    if table in OPTIONS_OF:
        found = options_of(OPTIONS_OF[table], table)
        return {n: o for n, o in found.items() if table != "data" or n not in _NO_OPTIONS}
    if table == "likelihood":
        kinds = [_of_signature(cls, name) for name, cls in LIKELIHOODS.items()]
    else:
        kinds = [options_of(cls, table, (name,)) for name, cls in CHOICES[table].items()]
    merged: dict[str, Option] = {}
    for kind in kinds:
        for field, option in kind.items():
            merged[field] = _both(merged[field], option) if field in merged else option
    return merged


def _both(first: Option, second: Option) -> Option:
    """One option of two choices."""
    same = first.default == second.default
    return first._replace(
        owners=first.owners + second.owners,
        default=first.default if same else dataclasses.MISSING,
        help=first.help if first.help == second.help else max(first.help, second.help, key=len),
    )


def options_of(cls: type, table: str, owners: tuple[str, ...] = ()) -> dict[str, Option]:
    """The fields of a dataclass as options, by field.

    Arguments:
        cls: the dataclass; its docstring says under "Attributes:" what each field means.
        table: its name in a recipe.
        owners: the choices that have them; empty where the table is no choice.
    """
    docs, hints = attribute_docs(cls), get_type_hints(cls)
    found = {}
    for item in dataclasses.fields(cls):
        name = item.metadata.get("flag", item.name)
        if name is None:
            continue
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        hint = hints[item.name]
        found[item.name] = Option(
            name, table, item.name, hint, default, item.metadata.get("text", hint),
            docs.get(item.name, ""), owners,
        )  # fmt: skip
    return found


def _of_signature(cls: type, owner: str) -> dict[str, Option]:
    """The options of a likelihood, which are its constructor's arguments beside the form of the rows."""
    docs, hints = parameter_docs(cls), get_type_hints(cls.__init__)
    found = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if name in ("shape", "levels"):
            continue
        hint: Any = hints.get(name, Any)
        found[name] = Option(
            name, "likelihood", name, hint, parameter.default, hint, docs.get(name, ""), (owner,)
        )
    return found
