"""The data of a program in every form that says the same: its defaults left out, or given.

A number or an array that is given as the default of its argument says no more than leaving it out.
"""

from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from itertools import combinations
from typing import Any

import numpy as np

from taut.models.program.wrappers import signature

__all__ = ["forms_of_data"]

_MOST = 6  # arguments at their defaults, of which all subsets are looked at


def forms_of_data(function: Callable, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The data with each choice of the arguments that are at their defaults, none of them first.

    Arguments:
        function: the program.
        data: its arrays and settings by name.

    Returns:
        dictionaries one by one; of more than six such arguments those with none and with all of them.
    """
    arguments = signature(function).parameters
    defaults = {
        name: a.default
        for name, a in arguments.items()
        if _is_number(a.default) and (name not in data or _same(data[name], a.default))
    }
    rest = {name: value for name, value in data.items() if name not in defaults}
    number = len(defaults)
    for size in range(number + 1) if number <= _MOST else (0, number):
        for names in combinations(defaults, size):
            yield {**rest, **{name: defaults[name] for name in names}}


def _is_number(default: Any) -> bool:
    """Whether a default is an array or a real number; other settings are no data."""
    if default is Parameter.empty or isinstance(default, bool | int | str):
        return False
    try:
        return np.asarray(default).dtype.kind in "biufc"
    except ValueError:  # rows of several lengths, which no program takes
        return False


def _same(value: Any, default: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(value), np.asarray(default)))
    except ValueError:
        return False
