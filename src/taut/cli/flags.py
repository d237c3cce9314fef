"""The options of a command, made of the dataclasses that they are fields of.

Help shows what the choices take that are on the command line (or are the defaults): `taut fit --model vq
--help` has no splines. Every option is parsed all the same, so that one which the choices do not have is
named with those that do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, make_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter

from taut.recipe import CHOICES, Option, choice_docs, shown_default

__all__ = ["choices_on", "given", "options_class"]

_TITLES = (
    "model",
    "likelihood",
    "posterior",
    "bound",
    "gradient",
    "inference",
    "training",
    "evidence",
    "data",
)


def _group(table: str) -> Group:
    return Group(table.capitalize(), sort_key=_TITLES.index(table) + 1)


def options_class(
    arguments: Sequence[str],
    shown: Iterable[Option],
    choices: Mapping[str, Sequence[str]],
    defaults: Mapping[str, str],
) -> type:
    """A dataclass whose fields are the options of a command, all None where they are not given.

    Arguments:
        arguments: of the command line, where the choices are looked for that help is about.
        shown: the options of the command.
        choices: for tables that are a choice, what can be chosen.
        defaults: the choice of each table where none is given.
    """
    seen = {**defaults, **choices_on(arguments, choices)}
    fields = [_choice(table, names, defaults.get(table)) for table, names in choices.items()]
    for option in shown:
        names = choices.get(option.table)
        if names is None or not option.owners or set(option.owners) & set(names):
            fields.append(_field(option, seen))
    seed = Parameter(
        group=_group("training"), help="Everything random follows from it. [default: 0]"
    )
    fields.append(("seed", Annotated[int | None, seed], field(default=None)))
    made = make_dataclass("Options", fields, frozen=True)
    # A class of `types` would not be taken apart into its fields.
    made.__module__, made.__doc__ = __name__, "Options by their flat names."
    return made


def given(made: Any) -> dict[str, Any]:
    """The options that were given, by name."""
    return {} if made is None else {n: v for n, v in vars(made).items() if v is not None}


def choices_on(arguments: Sequence[str], choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What a command line chooses by table, as far as it can be told before it is parsed."""
    found = {}
    words = list(arguments)
    for i, word in enumerate(words):
        name, _, value = word.partition("=")
        table = name.removeprefix("--")
        if name.startswith("--") and table in choices:
            value = value or (words[i + 1] if i + 1 < len(words) else "")
            if value in choices[table]:
                found[table] = value
    return found


def _choice(table: str, names: Sequence[str], default: str | None) -> tuple[str, Any, Any]:
    words = "; ".join(f"{name}, {choice_docs(CHOICES[table][name])}" for name in names)
    ending = f" [default: {default}]" if default else ""
    parameter = Parameter(group=_group(table), help=f"{words}.{ending}", show_choices=False)
    return table, Annotated[Literal[tuple(names)] | None, parameter], field(default=None)


def _field(option: Option, seen: Mapping[str, str]) -> tuple[str, Any, Any]:
    chosen = seen.get(option.table)
    shown = not option.owners or option.table == "likelihood" or chosen in option.owners
    default = shown_default(option.default)
    text = option.help[:1].upper() + option.help[1:] if option.help else ""
    if default is not None and "[default" not in text:
        text = f"{text.rstrip('.')}. [default: {default}]"
    parameter = Parameter(
        group=_group(option.table), help=text, show=shown, show_default=False,
        negative=f"--no-{option.name.replace('_', '-')}" if option.text is bool else (),
    )  # fmt: skip
    return option.name, Annotated[_text_of(option.text), parameter], field(default=None)


def _text_of(hint: Any) -> Any:
    """The type of what is typed: numbers and words as they are, everything else as text."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        kinds = [a for a in get_args(hint) if a is not NoneType]
        return _text_of(kinds[0]) if len(kinds) == 1 else str | None
    if origin is Literal or hint in (int, float, bool):
        return hint | None
    return str | None
