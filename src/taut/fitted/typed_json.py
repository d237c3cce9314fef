"""Frozen dataclasses as JSON and back; what a field is, its annotation says.

Numbers stay numbers. JSON has no infinities: `inf`, `-inf` and `nan` are written as these words.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from taut.core.json_numbers import number_or_word

__all__ = ["from_json", "to_json"]

_T = TypeVar("_T")


def to_json(value: Any) -> Any:
    """A dataclass, mapping, tuple, number, word or None as `json.dumps` takes it."""
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return number_or_word(float(value))
    return value


def from_json(kind: type[_T], content: Any) -> _T:
    """The inverse of `to_json` for a dataclass; fields with a default may be missing.

    Raises:
        TypeError: a field is missing, unknown, or of another type.
        ValueError: a word where a number belongs.
    """
    hints = get_type_hints(kind)
    unknown = sorted(content.keys() - hints.keys())
    if unknown:
        raise TypeError(f"{kind.__name__} has no field '{unknown[0]}'")
    return kind(**{name: _decoded(hints[name], item) for name, item in content.items()})


def _decoded(kind: Any, value: Any) -> Any:
    if get_origin(kind) is UnionType:
        (own,) = (part for part in get_args(kind) if part is not NoneType)
        return None if value is None else _decoded(own, value)
    if get_origin(kind) is tuple:
        return tuple(_decoded(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is Mapping:
        return {name: _decoded(get_args(kind)[1], item) for name, item in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return from_json(kind, value)
    if kind is float and (isinstance(value, int | float) or value in ("inf", "-inf", "nan")):
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"expected {getattr(kind, '__name__', kind)}, got {value!r}")
    return value
