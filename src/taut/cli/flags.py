"""The options of a command, made of the dataclasses that they are fields of.

Help shows what the choices take that are on the command line (or are the defaults): `taut fit --model vq
--help` has no splines. Every option is parsed all the same, so that one which the choices do not have is
named with those that do.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, make_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter

from taut.cli.whole import whole
from taut.inference import INFERENCES, AbstractExact
from taut.models.likelihoods import LIKELIHOODS
from taut.recipe import CHOICES, Option, choice_docs, option_of, options, shown_default

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
# What a docstring says of None, which is what an option has that is not given, and of Python's objects.
_NONE = re.compile(r"(.*?)[;,] None for (.*?)(?:\.( [A-Z].*))?\.?$")
_PYTHON = re.compile(r"; in Python also [^.]*|\s*In Python also [^.]*\.")


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
    seen = {**defaults, **choices_on(arguments, {**choices, "likelihood": tuple(LIKELIHOODS)})}
    left_out = _left_out(seen)
    fields = [
        _choice(table, names, defaults.get(table), shown=table not in left_out)
        for table, names in choices.items()
    ]
    for option in shown:
        names = choices.get(option.table)
        if names is None or not option.owners or set(option.owners) & set(names):
            fields.append(_field(option, seen, left_out))
    seed = Parameter(
        group=_group("training"),
        converter=whole,
        help="Random seed; the same seed repeats the run. [default: 0]",
    )
    fields.append(("seed", Annotated[int | None, seed], field(default=None)))
    made = make_dataclass("Options", fields, frozen=True)
    # A class of `types` would not be taken apart into its fields.
    made.__module__, made.__doc__ = __name__, "Options by their flat names."
    return made


def given(made: Any) -> dict[str, Any]:
    """The options that were given, by name; a list that was given piece by piece in one."""
    found = {} if made is None else {n: v for n, v in vars(made).items() if v is not None}
    return {n: ",".join(v) if isinstance(v, list) else v for n, v in found.items()}


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


def _left_out(seen: Mapping[str, str]) -> set[str]:
    """The tables that the chosen model and inference do not have."""
    found = set()
    if "model" in seen and seen["model"] not in options()["likelihood"].owners:
        found.add("likelihood")
    if "inference" in seen:
        inference = INFERENCES[seen["inference"]]
        found |= {"gradient"} if not inference.takes_gradient else set()
        found |= (
            {"bound", "training", "evidence"} if issubclass(inference, AbstractExact) else set()
        )
    return found


def _choice(
    table: str, names: Sequence[str], default: str | None, *, shown: bool
) -> tuple[str, Any, Any]:
    words = "\n".join(f"- {name}: {choice_docs(CHOICES[table][name])}" for name in names)
    ending = f"[default: {default or 'what suits the other choices'}]"
    parameter = Parameter(
        group=_group(table), help=f"{words}\n\n{ending}", show=shown, show_choices=False
    )
    return table, Annotated[Literal[tuple(names)] | None, parameter], field(default=None)


def _field(option: Option, seen: Mapping[str, str], left_out: set[str]) -> tuple[str, Any, Any]:
    chosen = seen.get(option.table)
    if chosen is None and option.table == "likelihood":
        shown, text = True, _by_choice(option)
    else:
        shown = not option.owners or chosen in option.owners
        text = _help(option_of(option, chosen) if chosen in option.owners else option)
    typed = list[str] | None if option.is_list else _text_of(option.text)
    parameter = Parameter(
        group=_group(option.table), help=text, show_default=False,
        converter=whole if typed == int | None else None,
        allow_leading_hyphen=option.is_list or _holds_numbers(option.hint),
        show=shown and option.table not in left_out,
        negative=f"--no-{option.name.replace('_', '-')}" if option.text is bool else (),
    )  # fmt: skip
    return option.name, Annotated[typed, parameter], field(default=None)


def _holds_numbers(hint: Any) -> bool:
    """Whether an option takes numbers with commas between them, of which the first may be negative."""
    if get_origin(hint) is tuple:
        return get_args(hint)[0] in (int, float)
    return any(_holds_numbers(one) for one in get_args(hint))


def _by_choice(option: Option) -> str:
    """What it means with each choice, where none is made."""
    owners: dict[str, list[str]] = {}
    for owner in option.owners:
        owners.setdefault(_help(option_of(option, owner)), []).append(owner)
    if len(owners) == 1:
        return next(iter(owners))
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in owners.items())


def _help(option: Option) -> str:
    """What an option means on the command line, with its default at the end."""
    text = _PYTHON.sub("", option.help)
    default = shown_default(option.default)
    if found := _NONE.match(text):
        text, default = f"{found[1]}.{found[3] or ''}", found[2]
    text = text[:1].upper() + text[1:]
    return text if default is None else f"{text.rstrip('.')}. [default: {default}]"


def _text_of(hint: Any) -> Any:
    """The type of what is typed: numbers and words as they are, everything else as text."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        kinds = [a for a in get_args(hint) if a is not NoneType]
        return _text_of(kinds[0]) if len(kinds) == 1 else str | None
    if origin is Literal or hint in (int, float, bool):
        return hint | None
    return str | None
