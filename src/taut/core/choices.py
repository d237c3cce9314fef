"""Choices as plain values: what TOML and JSON hold of a dataclass of options, and back.

    {"name": "iwae", "num_particles": 5}

A choice is a frozen dataclass (or an Equinox module) whose fields are options and whose class variable
`name` tells it apart in a registry. Fields may hold other choices. A field that is None where None is
its default is left out, and elsewhere written as the word `none`. What a user wrote in Python is only
named, {"user": "module.Class"}: reading a file runs no code.
"""

import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import Any, ClassVar, TypeVar, get_args, get_origin

import numpy as np

from taut.core.counts import is_whole
from taut.errors import InputError, nearest, option

__all__ = [
    "NONE",
    "Choice",
    "PlainFields",
    "chosen",
    "is_users",
    "options_from_dict",
    "options_to_dict",
    "plain",
    "pythonic",
]

NONE = "none"
_Own = TypeVar("_Own", bound="Choice")


class PlainFields:
    """A base of Equinox modules whose static fields hold Python's numbers where NumPy's are given."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, item in vars(cls).items():
            if isinstance(item, dataclasses.Field) and item.metadata.get("static"):
                own = _pythonic_for(cls.__annotations__.get(name, Any))
                item.metadata = MappingProxyType({"converter": own, **item.metadata})


class Choice(PlainFields):
    """A dataclass of options with a name; a base for bounds, estimators, inferences and the like.

    Attributes:
        name: the key of its registry.
        readers: for a field that holds more than a plain value, what makes it of one.
    """

    name: ClassVar[str]
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    def __new__(cls: type[_Own], *args: Any, **options: Any) -> _Own:
        """A new choice, refused before its own checks where a count of it is no whole number.

        Raises:
            InputError: names the option.
        """
        own: Any = cls
        items = [item for item in dataclasses.fields(own) if item.init]
        named = {item.name: value for item, value in zip(items, args, strict=False)} | options
        for item in items:
            if item.name in named and not _fits(named[item.name], item.type):
                known = isinstance(item.default, int)
                raise InputError(
                    "a whole number", repr(named[item.name]), f"{item.default}" if known else "1",
                    where=option(item.name),
                )  # fmt: skip
        base: Any = super()
        return base.__new__(cls)

    def to_dict(self) -> dict[str, Any]:
        """Name and options as JSON holds them."""
        return {"name": self.name, **options_to_dict(self)}

    @classmethod
    def from_dict(cls: type[_Own], content: Mapping[str, Any]) -> _Own:
        """The inverse of `to_dict`.

        Raises:
            InputError: an unknown option, a wrong value, or a part that a user wrote.
        """
        return options_from_dict(cls, {k: v for k, v in content.items() if k != "name"})


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is whole, or a list of such, where the type of its field asks for that."""
    among = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None or len(wanted := {one for one in among if one is not NoneType}) > 1:
        return NoneType in among or hint is not int
    (own,) = wanted
    if get_origin(own) in (tuple, Sequence) and get_args(own)[0] is int:
        return not isinstance(value, list | tuple) or all(map(is_whole, value))
    return own is not int or is_whole(value)


def options_to_dict(options: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON holds them, without those that are None by default."""
    content = {}
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if value is None and item.default is None:
            continue
        content[item.name] = NONE if value is None else plain(value)
    return content


def options_from_dict(cls: type, content: Mapping[str, Any]) -> Any:
    """A dataclass from what `options_to_dict` gave.

    Raises:
        InputError: an unknown option, or a part that a user wrote.
    """
    where = str(getattr(cls, "name", cls.__name__))
    readers: Mapping[str, Callable[[Any], Any]] = getattr(cls, "readers", {})
    known = {item.name: item for item in dataclasses.fields(cls)}
    values = {}
    for key, value in content.items():
        if key not in known:
            raise InputError(
                f"an option of {where}", f"'{key}'", nearest(key, known), where=where
            )  # fmt: skip
        if is_users(value):
            raise InputError(
                "parts that are all taut's own", f"the {key} {value['user']}, which a user wrote",
                f"Python, with an object as {key}", where=where,
            )  # fmt: skip
        if key in readers:
            values[key] = readers[key](value)
        elif value == NONE and known[key].default is not None and "None" in str(known[key].type):
            values[key] = None
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return cls(**values)


def plain(value: Any) -> Any:
    """A value as JSON and TOML hold it; a user's object by its name, {"user": "module.Class"}."""
    value = pythonic(value)
    if isinstance(value, Choice):
        return value.to_dict() if _is_ours(value) else _users(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return _users(value)


def pythonic(value: Any) -> Any:
    """A value with Python's numbers for those of NumPy, such as `arange` has, also in options of taut's
    own; itself where it has none."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        table = {key: pythonic(one) for key, one in value.items()}
        return value if all(table[key] is value[key] for key in table) else table
    if type(value) in (tuple, list):
        line = [*map(pythonic, value)]
        return value if all(map(operator.is_, line, value)) else type(value)(line)
    if isinstance(value, type) or not (dataclasses.is_dataclass(value) and _is_ours(value)):
        return value
    return _pythonic_options(value)


def _pythonic_for(hint: Any) -> Callable[[Any], Any]:
    """`pythonic` of values of a type: Equinox takes that of an argument from what converts it."""

    def converted(value: Any) -> Any:
        return pythonic(value)

    converted.__annotations__["value"] = hint
    return converted


def _pythonic_options(options: Any) -> Any:
    own = {
        item.name: getattr(options, item.name) for item in dataclasses.fields(options) if item.init
    }
    found = {name: pythonic(value) for name, value in own.items()}
    changed = {name: value for name, value in found.items() if value is not own[name]}
    return dataclasses.replace(options, **changed) if changed else options


def is_users(value: Any) -> bool:
    """Whether a plain value only names a part that a user wrote."""
    return isinstance(value, Mapping) and set(value) == {"user"}


def chosen(registry: Mapping[str, Any], content: Any, where: str) -> Any:
    """A choice of a registry from its plain value, or from its name alone.

    Raises:
        InputError: no such name, or options that the choice does not have.
    """
    content = {"name": content} if isinstance(content, str) else content
    name = str(content.get("name", ""))
    if name not in registry:
        raise InputError(
            f"one of {', '.join(registry)}", repr(name), nearest(name, registry), where=where
        )
    return registry[name].from_dict(content)


def _is_ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "taut"


def _users(value: Any) -> dict[str, str]:
    return {"user": f"{type(value).__module__}.{type(value).__qualname__}"}
