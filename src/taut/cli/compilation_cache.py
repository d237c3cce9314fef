"""Compiled programs on disk, which outlive the process: where, how many, and what of damaged ones.

JAX keeps one file for each program, NAME-KEY-cache. It writes them in place, so that one that was
being written when its process was killed is cut short, and it never writes a file that is there: each
later command would warn of it. Such a file is removed when JAX first complains, and JAX, which compiles
the program then, writes it anew.
"""

import contextlib
import os
import re
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["compilation_cache"]

_MOST = 2 * 2**30  # bytes: a few thousand programs
_EVERY = 24 * 3600.0  # seconds between looks at the size
_SUFFIX = "-cache"
_SWEPT = "swept"
_COMPLAINT = re.compile(r"Error reading persistent compilation cache entry for '([^']*)'")


@contextlib.contextmanager
def compilation_cache() -> Iterator[None]:
    """Keep what is compiled within on disk; JAX reads the environment when it is first imported."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taut" / "jax"
    folder = Path(os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(own)))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    if folder == own:
        with contextlib.suppress(OSError):
            _sweep(folder)
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, *rest: Any, **named: Any) -> None:
            complaint = _COMPLAINT.search(str(message))
            if complaint is None:
                shown(message, *rest, **named)
            else:
                _remove_damaged(folder, complaint[1])

        warnings.showwarning = show
        yield


def _remove_damaged(folder: Path, name: str) -> None:
    """Remove the damaged files of programs of a name; all of them where none is seen to be."""
    files = [path for path in folder.iterdir() if path.name.startswith(f"{name}-")]
    damaged = [path for path in files if _is_damaged(path)]
    for path in damaged or files:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_damaged(path: Path) -> bool:
    try:
        zlib.decompress(path.read_bytes())
    except (OSError, zlib.error):
        return True
    return False


def _sweep(folder: Path) -> None:
    """Once a day, remove the files that were not used for longest, until the others are few enough."""
    mark = folder / _SWEPT
    now = time.time()
    if not folder.is_dir() or (mark.exists() and now - mark.stat().st_mtime < _EVERY):
        return
    mark.touch()
    files = [entry for entry in os.scandir(folder) if entry.name.endswith(_SUFFIX)]
    states = {entry.path: entry.stat() for entry in files}
    # Where the file system keeps no time of reading, that of writing stands for it.
    last = sorted(states, key=lambda path: max(states[path].st_atime, states[path].st_mtime))
    size = sum(state.st_size for state in states.values())
    for path in last:
        if size <= _MOST:
            return
        size -= states[path].st_size
        with contextlib.suppress(OSError):
            os.unlink(path)
