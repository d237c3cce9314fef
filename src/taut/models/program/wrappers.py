"""What programs are wrapped in: effect handlers, partials, decorators, `jax.jit`."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
from numpyro.primitives import Messenger

__all__ = ["innermost", "layers", "signature", "unjitted"]


def layers(function: Any) -> Iterator[Any]:
    """A function and what it wraps, from the outside in."""
    while function is not None:
        yield function
        if isinstance(function, Messenger):
            function = function.fn
        elif isinstance(function, functools.partial):
            function = function.func
        else:
            function = getattr(function, "__wrapped__", None)


def innermost(function: Any) -> Any:
    """The function that somebody wrote."""
    *_, inner = layers(function)
    return inner


def signature(function: Callable) -> inspect.Signature:
    """The arguments that a function takes, as its innermost one names them.

    A handler used as a decorator takes anything, by its own signature.
    """
    if isinstance(function, functools.partial):

        def taken(*_: Any, **__: Any) -> None: ...

        taken.__signature__ = signature(function.func)  # pyright: ignore[reportFunctionMemberAccess]
        return inspect.signature(functools.partial(taken, *function.args, **function.keywords))
    if isinstance(function, Messenger) and function.fn is not None:
        return signature(function.fn)
    inner = getattr(function, "__wrapped__", None)
    return inspect.signature(function) if inner is None else signature(inner)


def unjitted(function: Callable) -> Callable:
    """A program that runs in Python each time: a compiled one keeps its sites to itself."""
    while isinstance(function, jax.stages.Wrapped):
        function = function.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    return function
