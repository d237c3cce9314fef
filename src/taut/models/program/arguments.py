"""The data of a program, parted into arrays and settings.

Arrays (lists, floats, anything with a shape) are arguments of the compiled program. Settings (Python
integers, strings, True, False, None) are constants in it, so that they can serve as sizes.
"""

import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.errors import InputError, nearest
from taut.models.program.observed_support import place_of
from taut.models.program.wrappers import signature

__all__ = ["check_names", "not_taken", "parted", "takes_data_alone", "whole"]

_OR_SUPPORT = (
    ", or, if it is a log-joint, a support for each of its parameters, as in "
    "support = {'sigma': 'positive'}"
)

_AS_NUMBERS = {
    "M": "numbers in their place, such as days since the first",
    "m": "numbers in their place, such as seconds",
    "U": "numbers in their place, such as codes from 0",
}  # by kind of array


def parted(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and settings, each a dictionary of the data's structure with None for the other's leaves.

    Raises:
        InputError: a value that is neither a number, a setting, nor a rectangular table of numbers.
    """
    converted = {name: _value(value, f"data '{name}'") for name, value in data.items()}
    return eqx.partition(converted, eqx.is_array)


def whole(arrays: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The data as the program gets them: the inverse of `parted`."""
    return eqx.combine(arrays, settings)


def not_taken(function: Callable, data: Mapping[str, Any]) -> list[str]:
    """The names of data that a program has no arguments for."""
    arguments = signature(function).parameters
    if any(a.kind is a.VAR_KEYWORD for a in arguments.values()):
        return []
    named = _named(arguments)
    return [name for name in data if name not in named]


def takes_data_alone(
    function: Callable, support: Mapping[str, Any], data: Mapping[str, Any]
) -> bool:
    """Whether a function takes no parameter of a support by name and needs nothing but data."""
    arguments = signature(function).parameters
    named = _named(arguments)
    needed = {n for n in named if arguments[n].default is inspect.Parameter.empty}
    known = bool(named) or not arguments  # *arguments may be anything
    return known and not named & support.keys() and needed <= data.keys()


def _named(arguments: Mapping[str, inspect.Parameter]) -> set[str]:
    """The arguments that data can be given to by name."""
    return {
        name for name, a in arguments.items() if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)
    }


def check_names(function: Callable, data: Mapping[str, Any], where: str) -> None:
    """Whether the names of the data are the names of the function's arguments.

    Raises:
        InputError: a name that the function does not take; an argument without data.
    """
    arguments = signature(function).parameters
    named = _named(arguments)
    # Where some name fits it is a program, of which one is misspelled.
    rather = "" if named & data.keys() else _OR_SUPPORT
    for name in not_taken(function, data):
        raise InputError(
            "data that the program takes",
            f"'{name}'",
            f"{nearest(name, named) if named else 'a program with arguments'}{rather}",
            where=where,
        )
    missing = [
        name
        for name in arguments
        if name in named - set(data) and arguments[name].default is inspect.Parameter.empty
    ]
    if missing:
        raise InputError(
            "data for every argument without a default",
            f"none for {', '.join(missing)} (there are: {', '.join(data) or 'none'})",
            f"adding '{missing[0]}' to the data{_OR_SUPPORT}",
            where=where,
        )


def _value(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, str, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, Mapping):
        return {name: _value(part, f"{where}, '{name}'") for name, part in value.items()}
    if isinstance(value, jax.Array):
        return value if value.ndim or not jnp.issubdtype(value.dtype, jnp.integer) else int(value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        cells = np.argwhere(np.ma.getmaskarray(value))
        raise InputError(
            "a value in every cell, and beside them which were seen",
            f"{len(cells)} masked, the first{place_of(tuple(map(int, cells[0])))}",
            "x.filled(0) for it, and ~x.mask as obs_mask of its site or in numpyro.handlers.mask",
            where=where,
        )  # fmt: skip
    try:
        table = np.asarray(value)
    except ValueError:
        table = np.asarray(None)
    if table.dtype.kind not in "biufc":
        _refuse_beyond(value, where)
        raise InputError(
            "a number or a rectangular table of numbers",
            _found(value),
            _AS_NUMBERS.get(table.dtype.kind, "rows of equal length without nulls or text"),
            where=where,
        )
    return int(table) if table.ndim == 0 and table.dtype.kind in "iu" else jnp.asarray(table)


def _refuse_beyond(value: Any, where: str) -> None:
    """Refuse whole numbers that no array holds, by the first of them."""
    for number, entry in enumerate(value if isinstance(value, (list, tuple)) else (), start=1):
        _refuse_beyond(entry, where)
        if isinstance(entry, numbers.Integral) and not -(2**63) <= int(entry) < 2**64:
            bits = int(entry).bit_length()
            raise InputError(
                "whole numbers that fit 64 bits",
                f"{entry if bits < 128 else f'one of {bits} bits'} in row {number}",
                "a real number, such as 1e+20, where rounding does no harm", where=where,
            )  # fmt: skip


def _found(value: Any) -> str:
    """What is wrong with a table: its first odd entry, or rows of several lengths."""
    if isinstance(value, (list, tuple)):
        lengths = sorted({len(row) for row in value if isinstance(row, (list, tuple))})
        if len(lengths) > 1:
            return f"rows of {' and '.join(map(str, lengths))} entries"
        for number, entry in enumerate(value, start=1):
            if not isinstance(entry, (numbers.Number, list, tuple)):
                return f"{entry!r} in row {number}"
            if isinstance(entry, (list, tuple)) and np.asarray(entry).dtype.kind not in "biufc":
                return f"{_found(entry)} of row {number}"
    elif (table := np.asarray(value)).dtype.kind in _AS_NUMBERS or table.dtype == object:
        kind = {"M": "dates", "m": "durations"}.get(table.dtype.kind)
        return kind or (_found(table.tolist()) if table.ndim else repr(value))
    return type(value).__name__
