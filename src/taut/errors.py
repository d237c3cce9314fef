"""Errors in three parts: what was expected, what was got, what to try.

Every message reads as one line, ``where: expected X, got Y. Try Z.``. An option in it is data, a name
with a value, and where the message is shown it is put into words: `missing="drop-rows"` in Python,
`--missing drop-rows` on the command line.
"""

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Literal

__all__ = [
    "Door",
    "InputError",
    "RunError",
    "TautError",
    "counted",
    "counted_are",
    "in_python",
    "nearest",
    "option",
    "refuse_unheard",
    "worded",
]

Door = Literal["Python", "command line"]

# Control characters around an option or an aside in a message: no name, path or number has them.
_START, _VALUE, _END = "\x02", "\x1f", "\x03"
_OPTION = re.compile(f"{_START}([^{_VALUE}{_END}]*)(?:{_VALUE}([^{_END}]*))?{_END}")
_ASIDE, _ASIDE_END = "\x04", "\x05"
_ASIDES = re.compile(f"{_ASIDE}([^{_ASIDE_END}]*){_ASIDE_END}")
_NO_VALUE: Any = object()


def option(name: str, value: Any = _NO_VALUE) -> str:
    """An option inside a part of a message; it may be a piece of an f-string.

    Arguments:
        name: with underscores, as Python's keyword has it.
        value: what it is set to: text, a number, true or false, None, several of these, or a number by
            name; left out where the message is about the option itself ("leaving out ...").

    Returns:
        text that `worded` puts into words.
    """
    ending = "" if value is _NO_VALUE else _VALUE + json.dumps(value, default=str)
    return f"{_START}{name}{ending}{_END}"


def in_python(text: str) -> str:
    """A piece of a part of a message that the command line leaves out, as what only Python can give."""
    return f"{_ASIDE}{text}{_ASIDE_END}"


class TautError(Exception):
    """A failure that says what was expected, what was got, and what to try.

    Abstract: raise `InputError` or `RunError`. `str` gives the words for Python.

    Arguments:
        expected: what would have been right, without a full stop.
        got: what was found instead.
        remedy: what to try; printed after "Try ".
        where: file, row, column, option or argument that the message is about.
    """

    exit_code = 1

    def __init__(self, expected: str, got: str, remedy: str, *, where: str | None = None):
        self._parts, self._where = (expected, got, remedy), where
        super().__init__(self.worded("Python"))

    @property
    def where(self) -> str | None:
        """What the message is about, in the words for Python."""
        return None if self._where is None else worded(self._where, "Python", bare=True)

    def worded(self, door: Door) -> str:
        """The message as someone reads it who came in by this door.

        Arguments:
            door: "Python" writes options as keywords, "command line" as flags.
        """
        prefix = f"{worded(self._where, door, bare=True)}: " if self._where else ""
        return prefix + worded(self.sentences, door)

    def at(self, where: str) -> "TautError":
        """The same failure at another place."""
        return type(self)(*self._parts, where=where)

    def trying(self, remedy: str) -> "TautError":
        """The same failure with another remedy."""
        return type(self)(*self._parts[:2], remedy, where=self._where)

    def calling(self, names: Mapping[str, str]) -> "TautError":
        """The same failure with options under the names that another caller has for them."""

        def renamed(text: str) -> str:
            return _OPTION.sub(
                lambda found: found[0].replace(found[1], names.get(found[1], found[1]), 1), text
            )

        where = self._where and renamed(names.get(self._where, self._where))
        return type(self)(*map(renamed, self._parts), where=where)

    @property
    def offers(self) -> frozenset[str]:
        """Names of the options in the remedy."""
        return frozenset(found[1] for found in _OPTION.finditer(self._parts[2]))

    @property
    def parts(self) -> tuple[str, str, str]:
        """What was expected, what was got and what to try, their options not yet in words."""
        return self._parts

    @property
    def sentences(self) -> str:
        """The message without its place, its options not yet in words, to be part of another one."""
        expected, got, remedy = self._parts
        names = remedy.split(", ")
        if len(names) > 1 and set(names) <= set(re.split(", | ", _ASIDES.sub(r"\1", expected))):
            remedy = "one of them"
        return f"expected {expected}, got {got}. Try {remedy}."

    def __reduce__(self):
        return _again, (type(self), self._parts, self._where)


class InputError(TautError, ValueError):
    """The caller's data, option or combination of parts cannot be used (exit code 2)."""

    exit_code = 2


class RunError(TautError, RuntimeError):
    """The input was fine and the run failed (exit code 1)."""


def counted(number: int, thing: str) -> str:
    """How many of a thing, in words: `1 row`, `1,200 rows`, `2 classes`, `3 quantities`, `2 axes`."""
    return f"{number:,} {thing if number == 1 else _plural(thing)}"


def counted_are(number: int, thing: str) -> str:
    """The same as the subject of a sentence: `1 row is`, `2 rows are`."""
    return f"{counted(number, thing)} {'is' if number == 1 else 'are'}"


def _plural(thing: str) -> str:
    for ending, plural in (("axis", "axes"), ("y", "ies"), ("ss", "sses")):
        if thing.endswith(ending):
            return thing.removesuffix(ending) + plural
    return f"{thing}s"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelled most like `name`, or all of them where none is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"'{close[0]}'" if close else ", ".join(known)


def refuse_unheard(options: Mapping[str, Any], expected: str, got: str) -> None:
    """Refuse the first of some options that is not None, for it would do nothing.

    Arguments:
        options: by name.
        expected: what they are for.
        got: what has no use for them.

    Raises:
        InputError: see above.
    """
    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"{expected}, which {option(name)} is for", got, f"leaving out {option(name)}",
                where=option(name),
            )  # fmt: skip


def _again(kind: type[TautError], parts: tuple[str, str, str], where: str | None) -> TautError:
    """An error from a pickle."""
    return kind(*parts, where=where)


def worded(text: str, door: Door, *, bare: bool = False) -> str:
    """A text with its options in words, and on the command line without what Python alone can give.

    Arguments:
        text: with pieces that `option` and `in_python` made.
        door: as of `TautError.worded`.
        bare: for a place, which is a name alone.
    """

    def words(found: re.Match) -> str:
        name = found[1] if door == "Python" else found[1].replace("_", "-")
        if found[2] is None:
            return name if bare else f"`{name}`" if door == "Python" else f"--{name}"
        value = json.loads(found[2])
        return f"{name}={_keyword(value)}" if door == "Python" else _flag(name, value)

    return _OPTION.sub(words, _ASIDES.sub(r"\1" if door == "Python" else "", text))


def _keyword(value: Any) -> str:
    """A value as Python's source has it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"({', '.join(map(_keyword, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_keyword(k)}: {_keyword(v)}' for k, v in value.items())}}}"
    return repr(value)


def _flag(name: str, value: Any) -> str:
    """An option as it is typed; several values have commas between them, names a colon after them."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, dict):
        value = [f"{key}:{number}" for key, number in value.items()]
    many = value if isinstance(value, list) else [value]
    return f"--{name} {shlex.quote(','.join('none' if v is None else str(v) for v in many))}"
