"""The blocks of the README; as a script, runs them all in the folder that it is started in."""

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import taut
from taut.cli.main import main

__all__ = ["BLOCKS", "README", "ROOT"]

ROOT = Path(taut.__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, re.S)
OUTSIDE = ("make", "pip")  # which set up what the tests run in


def _run(line: str) -> None:
    """A line of the shell; taut's in this process."""
    words = shlex.split(line, comments=True)
    if not words or words[0] in OUTSIDE:
        return
    if words[0] != "taut":
        subprocess.run(["bash", "-c", line], check=True)
        return
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = main(words[1:])
    assert code == 0, f"{line}: {err.getvalue()}"


def _read() -> None:
    """Every block, in the folder that this process is in; what those of Python print is printed."""
    names: dict[str, Any] = {}
    for kind, text in BLOCKS:
        if kind == "sh":
            for line in text.splitlines():
                _run(line)
        else:
            exec(compile(text, "README.md", "exec"), names)
    assert isinstance(names["fit"], taut.Fit)


if __name__ == "__main__":
    _read()
