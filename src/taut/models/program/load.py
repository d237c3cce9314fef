"""A program from the file that a user names, and its data from JSON.

The file is executed: it is the user's own code, named by the user.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from numpyro.primitives import Messenger

from taut.errors import InputError, nearest
from taut.models.program.arguments import takes_data_alone
from taut.models.program.wrappers import innermost, layers

__all__ = ["load_program", "read_data", "support_beside"]

_USUAL = ("model", "log_joint")


def load_program(source: str) -> Callable:
    """The function that 'FILE.py' or 'FILE.py:name' means.

    Without a name it is `model` or `log_joint` if the file has one of them, else the only function that
    is made in it; a function in a handler, a partial or a decorator is one, too.

    Raises:
        InputError: no such file; a file that does not run; no such function; several without a name.
    """
    file, name = _parted(source)
    module = _executed(file)
    known = {n: v for n, v in vars(module).items() if callable(v) and not isinstance(v, type)}
    made = [n for n, v in known.items() if not n.startswith("_") and _is_from(module, v)]
    if name is not None:
        if name not in known:
            found = ", ".join(made) or "no functions"
            remedy = nearest(name, made) if made else f"defining '{name}'"
            raise InputError(f"a function '{name}'", found, remedy, where=str(file))
        return known[name]
    chosen = [n for n in _USUAL if n in known] or made
    if len(chosen) != 1:
        raise InputError(
            "one function",
            ", ".join(chosen) or "none",
            f"{file}:{chosen[0]}" if chosen else "defining 'model'",
            where=str(file),
        )
    return known[chosen[0]]


def support_beside(function: Callable, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The dictionary `support` in the function's file; None where there is none.

    It is that of a log-joint. A function that takes none of its parameters, and needs nothing but data,
    is another program of the file.

    Arguments:
        function: that is fitted.
        data: by name.
    """
    support = getattr(innermost(function), "__globals__", {}).get("support")
    if not isinstance(support, Mapping):
        return None
    return None if takes_data_alone(function, support, data) else support


def read_data(path: str | Path) -> dict[str, Any]:
    """The data of a program from a JSON file with one object: numbers and lists by name.

    Raises:
        InputError: no such file; not JSON; no object.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        wish = "a JSON file that can be read"
        raise InputError(wish, error.strerror or "none", "its path", where=str(path)) from None
    except RecursionError:
        wish = "JSON whose lists are tables of numbers"
        raise InputError(wish, "lists nested too deeply", "mending it", where=str(path)) from None
    except json.JSONDecodeError as error:
        raise InputError(
            "JSON", error.msg, "a JSON checker", where=f"{path}, line {error.lineno}"
        ) from None
    except UnicodeDecodeError:
        raise InputError("JSON", "a binary file", "unpacking it", where=str(path)) from None
    except ValueError:
        wish = "numbers that fit 64 bits"
        raise InputError(
            wish, "one of thousands of digits", "mending it", where=str(path)
        ) from None
    if not isinstance(data, dict):
        raise InputError(
            "an object that names the data", type(data).__name__, '{"y": [...]}', where=str(path)
        )
    return data


def _parted(source: str) -> tuple[Path, str | None]:
    path, colon, name = source.rpartition(":")
    return (Path(path), name) if colon and name.isidentifier() else (Path(source), None)


class _WithoutTrace(SourceFileLoader):
    """Leaves no byte code beside the file."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        pass


def _executed(file: Path) -> ModuleType:
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no such file"
        raise InputError("a Python file", found, "FILE.py or FILE.py:name", where=str(file))
    name = f"taut_program_{file.stem}".replace("-", "_")
    if file.suffix != ".py":
        raise InputError("a Python file", f"'{file.suffix}'", "FILE.py", where=str(file))
    loader = _WithoutTrace(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None  # a loader is given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    sys.path.insert(0, str(file.parent.resolve()))  # so that the file can import its neighbours
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = getattr(error, "lineno", None)
        torch = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        raise InputError(
            "a Python file that runs",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}",
            "`pip install 'taut[torch]'`" if torch else f"python {file}",
            where=f"{file}, line {line}" if line else str(file),
        ) from error
    finally:
        sys.path.remove(str(file.parent.resolve()))
    return module


def _is_from(module: ModuleType, value: Any) -> bool:
    """Whether a function, or what it wraps, is the file's own; wrappers of others' functions are."""
    within = list(layers(value))
    if isinstance(value, (partial, Messenger)):
        return len(within) > 1
    return any(getattr(one, "__module__", None) == module.__name__ for one in within)
