"""What the parser refuses, in the words of all other messages: expected, got, try."""

import difflib
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from cyclopts import (
    Argument,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from taut.errors import InputError, nearest

__all__ = ["mistyped"]

_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    Path: "a path",
    bool: "no value",
    str: "a value",
}


def mistyped(error: CycloptsError, commands: list[str]) -> InputError:
    """The parser's complaint as one of taut's.

    Arguments:
        error: what the parser raised.
        commands: names of all commands.
    """
    command = " ".join(["taut", *(error.command_chain or ())])
    look_up = f"`{command} --help`"
    match error:
        case UnknownCommandError():
            got = (error.unused_tokens or [""])[0]
            return InputError("a command of taut", f"'{got}'", nearest(got, commands))
        case UnknownOptionError():
            typed = (error.token.keyword or error.token.value).partition("=")[0]
            names = [
                n[2:] for a in error.argument_collection for n in a.names if n.startswith("--")
            ]
            close = _meant(typed.lstrip("-"), names)
            remedy = f"--{close}" if close else look_up
            return InputError(f"an option of {command}", typed, remedy)
        case UnusedCliTokensError():
            typed = " ".join(error.unused_tokens or [])
            return InputError(
                "nothing after the last argument", f"'{typed}'", look_up, where=command
            )
        case RepeatArgumentError():
            flag = error.token.keyword or ""
            return InputError(f"{flag} once", "it twice", "one of them", where=command)
        case MissingArgumentError() if _flag(error.argument) is None:
            name = error.argument.name if error.argument else "an argument"
            return InputError(name, "none", look_up, where=command)
        case MissingArgumentError():
            where = _flag(error.argument)
            return InputError(_kind(error.argument), "no value", look_up, where=where)
        case CoercionError() if error.argument is not None and error.token is not None:
            got, words = error.token.value, _choices(error.argument)
            remedy = nearest(got, words) if words else look_up
            where = _flag(error.argument) or error.argument.name
            kind = _kind(error.argument)
            if kind == _IN_WORDS[int] and got.lstrip("+-").isdecimal():
                return InputError("a whole number that fits 64 bits", got, "0 or more", where=where)
            return InputError(kind, repr(got), remedy, where=where)
        case _:
            return InputError(
                "a command that can be read", " ".join(str(error).split()).rstrip("."), look_up
            )


def _meant(typed: str, names: list[str]) -> str | None:
    """The option that someone meant: by its initials, its beginning, or nearly its letters."""
    initials = [n for n in names if "-" in n and "".join(w[:1] for w in n.split("-")) == typed]
    begun = [n for n in names if len(typed) > 1 and n.startswith(typed)]
    close = difflib.get_close_matches(typed, names, n=1, cutoff=0.6)
    return next(iter([*initials, *begun, *close]), None)


def _flag(argument: Argument | None) -> str | None:
    """The option that is meant, as other messages name it; None for a positional argument."""
    name = argument.name if argument else ""
    return name.removeprefix("--") if name.startswith("--") else None


def _kind(argument: Argument | None) -> str:
    """What an argument takes."""
    words = _choices(argument)
    if words or argument is None:
        return f"one of {', '.join(words)}"
    return _IN_WORDS.get(_type(argument.hint), "a value")


def _choices(argument: Argument | None) -> list[str]:
    """The words that an argument can be; none where it is no choice."""
    kind = _type(argument.hint) if argument else None
    return list(get_args(kind)) if get_origin(kind) is Literal else []


def _type(hint: Any) -> Any:
    """A type without its None."""
    if get_origin(hint) in (Union, UnionType):
        return next(a for a in get_args(hint) if a is not NoneType)
    return hint
