"""`Option`: one thing that a user can choose, under one name in Python, TOML and the command line.

Options are the fields of the dataclasses that a recipe is made of. A field's name is the option's,
unless the field says otherwise (`metadata={"flag": ...}`, None for what only Python can give) or an
earlier table has the name already: then the table's name comes before it.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from taut.core import InputError, nearest
from taut.core import option as mention

__all__ = ["Option", "attribute_docs", "choice_docs", "parameter_docs", "shown_default", "typed"]

_IN_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_EXAMPLES = {int: "1", float: "0.5", str: "a word", bool: "true"}


class Option(NamedTuple):
    """A field that a user can choose.

    Attributes:
        name: with underscores; hyphens stand for them on the command line.
        table: of the recipe: `model`, `bound`, `training`, ...
        field: its name there.
        hint: its type.
        default: its value where none is chosen; `MISSING` where choices differ.
        text: the type of what stands for it on the command line.
        help: what it means.
        owners: the choices of the table that have it; empty where the table is no choice.
    """

    name: str
    table: str
    field: str
    hint: Any
    default: Any
    text: Any
    help: str
    owners: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        """Whether it takes several values, with commas between them."""
        return self.text is self.hint and any(isinstance(k, _Many) for k in _kinds(self.hint))

    @property
    def mentioned(self) -> str:
        """As a message names it."""
        return mention(self.name)


def typed(option: Option, value: Any, where: str | None = None) -> Any:
    """A value of TOML or the command line as the option's type.

    Numbers with commas between them become tuples, `none` None where the option can be None; what is an
    object already stays.

    Raises:
        InputError: a value of another kind.
    """
    where = where or option.mentioned
    kinds = _kinds(option.hint)
    if value is None or (value == "none" and None in kinds and str not in kinds):
        return None
    words = tuple(k.word for k in kinds if isinstance(k, _Word))
    sequence = next((k for k in kinds if isinstance(k, _Many)), None)
    if sequence is not None and isinstance(value, str | list | tuple | int | float):
        return _numbers(value, sequence.of, where)
    if words and isinstance(value, str) and str not in kinds:
        if value not in words:
            raise InputError(
                f"one of {', '.join(words)}", repr(value), nearest(value, words), where=where
            )
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    types = tuple(k for k in kinds if k in _IN_WORDS)
    plain = isinstance(value, str | int | float | list | dict)
    is_one = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if (types or words) and Any not in kinds and plain and not is_one:
        wanted = " or ".join([_IN_WORDS[t] for t in types] or [f"one of {', '.join(words)}"])
        example = shown_default(option.default) or _EXAMPLES[(*types, str)[0]]
        raise InputError(wanted, repr(value), example, where=where)
    if isinstance(value, int) and int in types and abs(value) >= 2**63:
        raise InputError(
            "a whole number that fits 64 bits", f"{value}",
            shown_default(option.default) or _EXAMPLES[int], where=where,
        )  # fmt: skip
    return value


def attribute_docs(cls: type) -> dict[str, str]:
    """What a class and its bases say under "Attributes:", by field."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _section(base.__doc__ or "", "Attributes")
    return found


def parameter_docs(cls: type) -> dict[str, str]:
    """The same with what they say under "Arguments:"."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _section(base.__doc__ or "", "Arguments")
    return found | attribute_docs(cls)


def shown_default(default: Any) -> str | None:
    """A default as help shows it; None where it says nothing."""
    if default is MISSING or default is None or default == ():
        return None
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple | list):
        return ",".join(str(v) for v in default)
    if isinstance(default, str | int | float):
        return f"{default}"
    return str(getattr(default, "name", "")) or None


class _Word(NamedTuple):
    word: str


class _Many(NamedTuple):
    of: type


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a hint allows: types, `_Word`s, `_Many`, None and Any."""
    origin = get_origin(hint)
    if hint is None or hint is NoneType:
        return (None,)
    if origin is Literal:
        return tuple(_Word(word) for word in get_args(hint))
    if origin in (Union, UnionType):
        return tuple(kind for a in get_args(hint) for kind in _kinds(a))
    if origin is not None and issubclass(origin, Mapping):
        return (dict,)
    if origin is not None and get_args(hint):
        return (_Many(get_args(hint)[0]),)
    return (hint,)


def _numbers(value: Any, of: type, where: str) -> tuple[Any, ...]:
    """ "256,256" or [256, 256] as (256, 256); empty text is no numbers."""
    parts: Any = [value] if isinstance(value, int | float) else value
    if isinstance(value, str):
        parts = value.split(",") if value.strip() else []
    if of is str:
        return tuple(str(p).strip() for p in parts if str(p).strip())
    example = {int: "256,256", float: "0.8,0.1,0.1"}[of]
    kind = {int: "whole numbers", float: "numbers"}[of]
    try:
        numbers = tuple(of(p) for p in parts)
        if any(isinstance(p, bool) or (of is int and isinstance(p, float)) for p in parts):
            raise ValueError
        if of is int and any(abs(int(n)) >= 2**63 for n in numbers):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f"{kind} with commas between them", repr(value), example, where=where
        ) from None
    return numbers


def _section(doc: str, title: str) -> dict[str, str]:
    """`name: text` entries of one section of a docstring."""
    lines = inspect.cleandoc(doc).splitlines()
    entries: dict[str, str] = {}
    inside, name = False, ""
    for line in lines:
        if line.strip() == f"{title}:":
            inside = True
        elif inside and line and not line.startswith(" "):
            inside = False
        elif inside and (found := re.match(r"^    (\w+): (.*)$", line)):
            name = found[1]
            entries[name] = found[2].strip()
        elif inside and name and line.strip():
            entries[name] += " " + line.strip()
    return entries


def choice_docs(cls: type) -> str:
    """The first sentence of a class's docstring, as a list of choices says it."""
    first = inspect.cleandoc(cls.__doc__ or cls.__name__).split("\n\n")[0].replace("\n", " ")
    first = first.rstrip(".")
    return first if first[1:2].isupper() else first[:1].lower() + first[1:]
