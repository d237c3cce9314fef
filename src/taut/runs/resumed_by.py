"""What goes on with a run that was stopped, as messages name it.

A command names the program of a posterior again, as nothing that a run folder names is executed. Data or
a program that came in memory no command has.
"""

import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taut.core import InputError
from taut.runs.own_files import NEXT
from taut.runs.replacing import named_by_user
from taut.runs.toml import read_toml

__all__ = ["resumed_by"]

_AGAIN = "the same call in Python with resume=True"


def resumed_by(run: Path) -> str:
    """The command that goes on with a run, in backquotes; in words where only Python can.

    Arguments:
        run: its folder, or the one within it of a run that replaces it.
    """
    named = named_by_user(run)
    content = _settings(named / NEXT) or _settings(named)
    command = ["taut", "resume", str(named)]
    if "posterior" in content:
        if (program := content.get("program")) is None:
            return _AGAIN
        command.append(str(program))
    elif "source" not in content.get("data", {"source": None}):
        return _AGAIN
    return f"`{shlex.join(command)}`"


def _settings(folder: Path) -> Mapping[str, Any]:
    """What config.toml holds; nothing where it cannot be read."""
    with contextlib.suppress(InputError, OSError):
        return read_toml(folder / "config.toml")
    return {}
