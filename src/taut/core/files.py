"""Files appear whole or not at all: written beside, flushed to disk, renamed.

What is written beside is hidden and carries the process that writes it in its name, so that what a kill
leaves behind is told from what someone is writing: .NAME.taut-HOST-PID-BEGAN-RANDOM
"""

import glob
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from taut.core.owners import began, this_process

__all__ = ["is_temporary", "sweep", "write_atomically", "write_json"]

_TEMPORARY = re.compile(r"\..*\.taut-([0-9a-f]{8})-(\d+)-([0-9a-f]+)-\w+")
_LONGEST = 80  # characters of a name that its temporary has, too: a file system has 255 bytes


def write_atomically(path: Path | str, write: Callable[[BinaryIO], object]) -> Path:
    """Create or replace a file in one step; what a kill has left of an earlier try goes.

    Arguments:
        path: the file; its folder must exist.
        write: called with an open binary file.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file is untouched.
    """
    path = Path(path)
    name, own = path.name[:_LONGEST], this_process()
    for left in path.parent.glob(f".{glob.escape(name)}.taut-{_host()}-*"):
        _remove_left(left)
    prefix = f".{name}.taut-{_host()}-{own.pid}-{own.began}-"
    descriptor, scratch = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    return path


def write_json(path: Path | str, content: Any) -> Path:
    """Write JSON in one step, keys in the order given; infinities must have been made words."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    return write_atomically(path, lambda file: file.write(text.encode()))


def is_temporary(name: str) -> bool:
    """True for the name of a file that `write_atomically` has not yet renamed."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove what `write_atomically` left in a folder that is held when its process was killed.

    What a process of another machine is writing there is taken for such.
    """
    for path in folder.glob(".*.taut-*"):
        _remove_left(path)


def _remove_left(path: Path) -> None:
    found = _TEMPORARY.fullmatch(path.name)
    if found and (found[1] != _host() or began(int(found[2])) != found[3]):
        path.unlink(missing_ok=True)


def _host() -> str:
    return f"{zlib.crc32(this_process().host.encode()):08x}"


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
