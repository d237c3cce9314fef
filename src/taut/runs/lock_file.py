"""A file that one process holds, and that a process which was killed does not keep.

The operating system decides (flock) where the file system has locks; inside the file stands who holds
it, for others to read, and to decide by where there are none: the holder is gone when no process of its
number and its beginning runs. Of a process on another machine nothing is known, and locks do not always
reach so far: it is taken to hold the file for as long as the file is there.
"""

import errno
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from taut.core import Owner, this_process

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

__all__ = ["Holder", "give_back", "take"]

# Seconds after which of two that took over a file without locks the last one has won.
_SETTLED = 0.3
_WRITTEN = 5.0  # seconds within which a holder without locks has written its name into its file
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class Holder(NamedTuple):
    """What the file says.

    Attributes:
        owner: the process; None where it has not written its name yet.
        since: date and time.
    """

    owner: Owner | None
    since: str


def take(path: Path) -> int | Holder:
    """Hold a file, which is made where it is missing.

    Returns:
        the descriptor that `give_back` takes, or who else holds the file.

    Raises:
        OSError: the file cannot be written; `FileNotFoundError` where its folder is missing.
    """
    while True:
        try:
            descriptor, new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            descriptor, new = os.open(path, os.O_RDWR), False
        kept = False
        try:
            locked = _lock(descriptor)
            if not _is_current(descriptor, path):
                continue  # its holder has just given it back: begin again with another file
            holder = _read(descriptor)
            if locked is False or not (new or _is_free(holder, descriptor, locked=bool(locked))):
                return holder
            _write(descriptor)
            if not (new or locked):
                time.sleep(_SETTLED)
                holder = _read(descriptor)
                if holder.owner != this_process():
                    return holder
            kept = True
            return descriptor
        finally:
            if not kept:
                os.close(descriptor)


def give_back(path: Path, descriptor: int) -> None:
    """Remove a file that is held, and only then its lock, so that nobody is left with a removed file."""
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the system gives the lock; None where the file system has none."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    """False where the file of this name is by now another one."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino)


def _is_free(holder: Holder, descriptor: int, *, locked: bool) -> bool:
    """Whether the holder of an older file is gone; `locked` where the system has given its lock."""
    if holder.owner is None:  # killed before it wrote its name, or about to write it
        return locked or time.time() - os.fstat(descriptor).st_mtime > _WRITTEN
    return holder.owner.is_here and (locked or holder.owner.is_gone)


def _read(descriptor: int) -> Holder:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(descriptor, 4096))
        return Holder(Owner(**content["owner"]), content["since"])
    except (ValueError, KeyError, TypeError):
        return Holder(None, "")


def _write(descriptor: int) -> None:
    content = {"owner": this_process()._asdict(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(content).encode() + b"\n")
