"""Help, and scripts for shells, from disk: what a command's options are is known once its modules are
imported, which takes seconds, and changes only with the code.

A page is kept for its arguments and the terminal's width, colours and characters, with a stamp of the
code that made it: the files of taut and what is installed beside the parser. A page of another stamp is
made anew, in its place.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import taut
from taut.cache_folder import cache_folder

__all__ = ["is_page", "show_page"]

_MOST = 500  # pages, of up to 50 kB


def is_page(arguments: Sequence[str]) -> bool:
    """Whether the parser shows help, or a script for a shell, and runs nothing."""
    if "--" in arguments:
        return False
    return any(word in arguments for word in ("--help", "-h")) or "completion" in arguments[:1]


def show_page(arguments: Sequence[str], make: Callable[[], object]) -> None:
    """Print a page of help.

    Arguments:
        arguments: of the command line.
        make: prints the page, which is kept where this user has a folder for it.
    """
    folder = cache_folder("help")
    if folder is None:
        make()
        return
    path, stamp = folder / _name(arguments), _stamp()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept, _, page = path.read_bytes().decode().partition("\n")
        if kept == stamp:
            sys.stdout.write(page)
            return
    printed = _Kept(sys.stdout)
    with contextlib.redirect_stdout(printed):
        make()
    with contextlib.suppress(OSError):
        _write(path, f"{stamp}\n{printed.text}".encode())


class _Kept:
    """A stream that remembers what is written to it; else it is the stream."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _name(arguments: Sequence[str]) -> str:
    """The file of a page: what its text follows from, beside the code."""
    from rich.console import Console

    console = Console()
    shown = (console.width, console.color_system, console.no_color, console.encoding)
    told = (str(Path(taut.__file__).parent), list(arguments), shown, console.is_terminal)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def _stamp() -> str:
    """What changes with the code: the size and time of each file, and what is installed."""
    found = hashlib.sha256(f"{taut.__version__} {sys.version}".encode())
    for folder, folders, names in os.walk(Path(taut.__file__).parent):
        folders.sort()
        for name in sorted(name for name in names if name.endswith(".py")):
            state = os.stat(os.path.join(folder, name))
            found.update(f"{name} {state.st_mtime_ns} {state.st_size}\n".encode())
    parser = importlib.util.find_spec("cyclopts")
    if parser is not None and parser.origin is not None:
        found.update(str(Path(parser.origin).parent.parent.stat().st_mtime_ns).encode())
    return found.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """The whole file or none, and not many of them."""
    pages = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
    for old in pages[: max(len(pages) - _MOST, 0)]:
        old.unlink()
    scratch = path.with_suffix(f".{os.getpid()}")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
