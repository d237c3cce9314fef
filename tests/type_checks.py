"""The types and shapes that annotations promise, checked in every call of the library under test.

The import hook of jaxtyping puts `jaxtyping.jaxtyped(typechecker=...)` on every function and dataclass
of taut. That decorator binds each call to its signature and checks the arguments twice, for functions
without an array too: a sixth of the suite's time. `checked` says the same of each call by one check,
with a scope of its own for the names of axes (the context manager of jaxtyping) where an annotation
names some.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import beartype
from jaxtyping import config, jaxtyped

__all__ = ["WrongType", "checked"]


class WrongType(TypeError):
    """A value of another type than was promised; readers of files take a TypeError for damage."""


_CHECK = beartype.beartype(conf=beartype.BeartypeConf(violation_type=WrongType))
_CALLED = "__beartype_func"  # the parameter of what beartype makes that holds the function to call
# What checks a function within another, which is defined anew at each call of the outer one.
_CHECKS: dict[tuple[types.CodeType, str], tuple[Callable | None, bool]] = {}


def checked(thing: Any = None, *, typechecker: Any = None) -> Any:
    """What takes the place of `jaxtyping.jaxtyped` as a decorator.

    A class is checked where its fields are set, if it is a dataclass; a function at each call, unless
    `jaxtyping_disable` is set then.
    """
    if thing is None:
        return functools.partial(checked, typechecker=typechecker)
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and isinstance(thing.__init__, types.FunctionType):
            thing.__init__ = _checked_function(thing.__init__)
        return thing
    return _checked_function(thing)


def _checked_function(function: Callable) -> Callable:
    if hasattr(function, "_checked") or getattr(function, "__no_type_check__", False):
        return function
    inner, scope = _check_of(function)
    if inner is None:
        return function

    @functools.wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if config.jaxtyping_disable:
            return function(*args, **kwargs)
        if not scope:
            return inner(*args, **{_CALLED: function}, **kwargs)
        with jaxtyped("context"):
            return inner(*args, **{_CALLED: function}, **kwargs)

    checking._checked = True  # pyright: ignore[reportAttributeAccessIssue]
    return checking


def _check_of(function: Callable) -> tuple[Callable | None, bool]:
    """What checks a call of it, None where there is nothing to check; and whether axes are named.

    One for all functions of the same code whose annotations are written alike: those of jaxtyping are
    another class each time. Defaults are checked where they are set.
    """
    annotations = str(function.__annotations__)
    if function.__defaults__ or function.__kwdefaults__ or "<locals>" in annotations:
        return _made_check(function)
    name = function.__code__, annotations
    if name not in _CHECKS:
        _CHECKS[name] = _made_check(function)
    return _CHECKS[name]


def _made_check(function: Callable) -> tuple[Callable | None, bool]:
    hints = _hints(function)
    inner = _CHECK(_annotated(function, hints))
    if inner.__code__ is function.__code__:
        return None, False
    return inner, any("jaxtyping" in repr(hint) for hint in hints.values())


def _hints(function: Callable) -> dict[str, Any]:
    """Annotations by name; one whose names are not there at run time promises nothing."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return {name: _hint(function, name) for name in function.__annotations__}


def _hint(function: Callable, name: str) -> Any:
    alone = _annotated(function, {name: function.__annotations__[name]})
    try:
        return typing.get_type_hints(alone, include_extras=True)[name]
    except Exception:
        return Any


def _annotated(function: Any, hints: dict[str, Any]) -> Any:
    """The same function with other annotations, of which no variable outside has a value."""
    empty = tuple(types.CellType() for _ in function.__closure__ or ())
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, empty
    )
    functools.update_wrapper(copy, function)
    del copy.__wrapped__
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = hints
    return copy
