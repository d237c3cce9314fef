"""Compiled programs on disk, which outlive the process: where, how many, and what of damaged ones.

    taut.cache()           in the folder of this user and this processor: the default of every fit
    taut.cache("FOLDER")   in another one, from now on in this process
    taut.cache(False)      nowhere

A program of one processor may hold instructions that another lacks, and machines share homes: each kind
of processor has a folder of its own. JAX runs what it finds there, so that a folder which others may
write to is not used. A folder that JAX was told of, by its configuration or
`JAX_COMPILATION_CACHE_DIR`, goes before the default.

JAX keeps one file for each program, NAME-KEY-cache. It writes them in place, so that one that was
being written when its process was killed is cut short, and it never writes a file that is there: each
later process would warn of it. Such a file is removed when JAX first complains, and JAX, which compiles
the program then, writes it anew.
"""

import contextlib
import hashlib
import os
import platform
import re
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taut.cache_folder import cache_folder

__all__ = ["cache", "compilation_cache"]

_MOST = 2 * 2**30  # bytes: a few thousand programs
_EVERY = 24 * 3600.0  # seconds between looks at the size
_SUFFIX = "-cache"
_SWEPT = "swept"
_COMPLAINT = re.compile(r"Error reading persistent compilation cache entry for '([^']*)'")
_FOLDER = "jax_compilation_cache_dir"
_SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}

_off = False  # whether the caller wants none


def cache(folder: Path | str | bool = True) -> Path | None:
    """Keep compiled programs on disk from now on, so that a second process need not compile them.

    Every fit does so by default. What else JAX compiles in the process is kept, too.

    Arguments:
        folder: where; True for the default, False to keep nothing.

    Returns:
        the folder; None for none, as where the default is not this user's alone.
    """
    global _off
    _off = folder is False
    named = None if isinstance(folder, bool) else Path(folder).expanduser()
    place = _own() if folder is True else named
    if "jax" in sys.modules:
        import jax
        from jax.experimental.compilation_cache import compilation_cache as opened

        opened.reset_cache()
        jax.config.update(_FOLDER, None)
    os.environ.pop(_FOLDER.upper(), None)
    if place is not None:
        _tell(place)
    return place


@contextlib.contextmanager
def compilation_cache() -> Iterator[None]:
    """Keep what is compiled within on disk; also a decorator."""
    folder = _told()
    if folder is not None and "jax" not in sys.modules:
        _tell(folder)  # programs of any size
    if folder is None and not _off and (own := _own()) is not None:
        with contextlib.suppress(OSError):
            _sweep(own.parent)
        _tell(own)
        folder = own
    if folder is None or threading.current_thread() is not threading.main_thread():
        yield  # how warnings are shown is one thing for all threads
        return
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


def _told() -> Path | None:
    """The folder that JAX knows of."""
    if "jax" in sys.modules:
        import jax

        named = getattr(jax.config, _FOLDER)
    else:
        named = os.environ.get(_FOLDER.upper())
    return Path(named) if named else None


def _tell(folder: Path) -> None:
    """Name the folder to JAX, which reads the environment when it is first imported."""
    settings = {name: v for name, v in _SETTINGS.items() if name.upper() not in os.environ}
    if "jax" not in sys.modules:
        os.environ |= {n.upper(): str(v) for n, v in ({_FOLDER: folder} | settings).items()}
        return
    import jax

    for name, value in ({_FOLDER: str(folder)} | settings).items():
        jax.config.update(name, value)


def _own() -> Path | None:
    """The folder of this user and this kind of processor; None where others may write to it."""
    return cache_folder("jax", _processor())


def _processor() -> str:
    """A name for what compiled programs may rely on: the instructions of the processor."""
    told = f"{platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(told.encode()).hexdigest()[:12]


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
    states = {str(path): path.stat() for path in folder.rglob(f"*{_SUFFIX}")}
    # Where the file system keeps no time of reading, that of writing stands for it.
    last = sorted(states, key=lambda path: max(states[path].st_atime, states[path].st_mtime))
    size = sum(state.st_size for state in states.values())
    for path in last:
        if size <= _MOST:
            return
        size -= states[path].st_size
        with contextlib.suppress(OSError):
            os.unlink(path)
