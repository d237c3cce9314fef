"""What a parameter of an estimator may be: constructors take anything, and `fit` looks at it.

That is scikit-learn's convention, by which a search sets parameters one after another.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from taut.core import InputError, nearest

__all__ = [
    "Parameter",
    "check_count",
    "check_parameters",
    "choice",
    "flag",
    "number",
    "share",
    "whole",
]


class Parameter(NamedTuple):
    """What one parameter may be.

    Attributes:
        expected: in words.
        holds: whether a value is that.
        remedy: what to try instead of a value.
    """

    expected: str
    holds: Callable[[Any], Any]
    remedy: Callable[[Any], str]


def check_parameters(estimator: Any, parameters: Mapping[str, Parameter]) -> None:
    """Refuse the first value that a parameter may not have.

    Raises:
        InputError: names the parameter.
    """
    for name, parameter in parameters.items():
        value = getattr(estimator, name)
        if not parameter.holds(value):
            raise InputError(
                parameter.expected, repr(value), parameter.remedy(value),
                where=f"{type(estimator).__name__}, {name}",
            )  # fmt: skip


def check_count(num_samples: Any) -> None:
    """Refuse what is no number of rows to draw.

    Raises:
        InputError: names `n_samples`.
    """
    count = whole(1, 1)
    if not count.holds(num_samples):
        raise InputError(count.expected, repr(num_samples), "n_samples=1", where="n_samples")


def whole(least: int, example: int, *, optional: bool = False) -> Parameter:
    """A whole number of at least `least`, or None where it is optional."""
    return Parameter(
        f"a whole number of at least {least}" + " or None" * optional,
        lambda value: (
            (optional and value is None)
            or (
                isinstance(value, int | np.integer)
                and not isinstance(value, bool)
                and value >= least
            )
        ),
        lambda _: f"{example}",
    )


def number(least: float | int, example: float | int, *, optional: bool = False) -> Parameter:
    """A finite number of at least `least`, or None where it is optional."""
    return Parameter(
        f"a number of at least {least:g}" + " or None" * optional,
        lambda value: (
            (optional and value is None)
            or (
                isinstance(value, int | float | np.number)
                and not isinstance(value, bool)
                and math.isfinite(value)
                and value >= least
            )
        ),
        lambda _: f"{example:g}",
    )


def share(most: float, example: float) -> Parameter:
    """A number above 0 and at most `most`."""
    return Parameter(
        f"a number above 0 and at most {most:g}",
        lambda value: (
            isinstance(value, int | float | np.number)
            and not isinstance(value, bool)
            and 0 < value <= most
        ),
        lambda _: f"{example:g}",
    )


def choice(names: Iterable[str]) -> Parameter:
    """One of some names."""
    known = tuple(names)
    return Parameter(
        f"one of {', '.join(known)}",
        lambda value: isinstance(value, str) and value in known,
        lambda value: nearest(str(value), known),
    )


def flag() -> Parameter:
    """True or False."""
    return Parameter("True or False", lambda value: isinstance(value, bool), lambda _: "True")
