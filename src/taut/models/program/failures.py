"""What a user's code raises, as one line that names the file, the line and what to try."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

import jax
import numpyro

from taut.errors import InputError, TautError, counted
from taut.models.program.wrappers import innermost

__all__ = ["place", "reading"]


def place(function: Callable) -> str:
    """'FILE.py:name' of a function."""
    code, inner = _code(function), innermost(function)
    name = getattr(inner, "__name__", type(inner).__name__)
    return name if code is None else f"{Path(code.co_filename).name}:{name}"


@contextmanager
def reading(function: Callable, *, kind: str = "a function") -> Iterator[None]:
    """Turn whatever a user's function raises into an `InputError` with its line.

    Arguments:
        function: the user's.
        kind: what it is taken for.
    """
    try:
        yield
    except TautError:
        raise
    except (Exception, SystemExit) as error:
        line, plate = _where(error.__traceback__, _code(function))
        where = place(function) + (f", line {line}" if line else "")
        if plate is not None:
            name, size = plate
            if not size:
                raise InputError(
                    f"at least one row in plate '{name}'", "none",
                    "leaving the plate out where its data are empty", where=where,
                ) from error  # fmt: skip
            raise InputError(
                f"{counted(size, 'row')} in plate '{name}', its declared size",
                _first_line(error),
                "the length of the data as the plate's size, such as len(y)",
                where=where,
            ) from error
        raise InputError(
            f"{kind} that JAX can trace on these data",
            f"{type(error).__name__}: {_first_line(error)}",
            _remedy(error),
            where=where,
        ) from error


def _code(function: Any) -> Any:
    inner = innermost(function)
    return getattr(inner, "__code__", getattr(type(inner).__call__, "__code__", None))


def _where(traceback: TracebackType | None, code: Any) -> tuple[int | None, tuple[str, int] | None]:
    """The last line in the user's file, and name and size of a plate that is empty or does not fit."""
    line, plate = None, None
    for frame, number in walk_tb(traceback):
        if code is not None and frame.f_code.co_filename == code.co_filename:
            line, plate = number, None
        elif frame.f_code is numpyro.plate.process_message.__code__:
            plate = frame.f_locals["self"].name, frame.f_locals["self"].size
        elif frame.f_code is numpyro.plate.__init__.__code__ and frame.f_locals["size"] == 0:
            plate = frame.f_locals["name"], 0
    return line, plate


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else "no message"


def _remedy(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "leaving out the exit"
    if isinstance(error, jax.errors.JAXTypeError):
        return (
            "jnp.where for branches, jax.numpy in place of numpy and float(), "
            "and sizes as integers in the data"
        )
    if "'scale' argument should be positive" in str(error):
        return "weights above 0, and numpyro.handlers.mask for rows that do not count"
    if "unique names" in str(error):
        return "another name for one of the two"
    if "while_loop" in str(error):
        return (
            "jax.lax.scan or a fori_loop with a fixed number of steps, which can be differentiated"
        )
    return "data of the shapes that the function expects"
