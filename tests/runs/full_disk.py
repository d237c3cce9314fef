"""A disk that is full from some moment on: what takes room fails, what gives room back does not.

with full_after(7) as calls:      # the first seven calls that take room are made
    ...
len(calls)                        # how many there were, with those that failed
"""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["full_after"]


class _Writer:
    """An open file, each write to which is a call."""

    def __init__(self, file: Any, takes_room: Callable[[str], None]):
        self._file, self._takes_room = file, takes_room

    def write(self, content: Any) -> int:
        self._takes_room("write")
        return self._file.write(content)

    def writelines(self, lines: Any) -> None:
        self._takes_room("write")
        self._file.writelines(lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *raised: Any) -> None:
        self._file.close()


@contextmanager
def full_after(number: int, folder: Path) -> Iterator[list[str]]:
    """The disk of a folder is full after so many calls that take room; hands out their names.

    Arguments:
        number: of calls that are made.
        folder: what lies elsewhere (devices, caches) is on another disk.
    """
    made: list[str] = []
    inside = str(folder.resolve())

    def takes_room(name: str) -> None:
        made.append(name)
        if len(made) > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def there(place: Any) -> bool:
        named = f"/proc/self/fd/{place}" if isinstance(place, int) else os.fspath(place)
        return os.path.realpath(named).startswith(inside)

    def counted(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            if there(arguments[0]) and (name != "open" or arguments[1] & os.O_CREAT):
                takes_room(name)
            return real(*arguments, **keywords)

        return mock.patch.object(os, name, call)

    opened = io.open

    def open_file(place: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        file = opened(place, mode, *arguments, **keywords)
        writes = not isinstance(file, io.RawIOBase) and set(mode) & set("wa+x")
        return _Writer(file, takes_room) if writes and there(place) else file

    patches = [
        *map(counted, ("open", "mkdir", "fsync", "replace")),
        mock.patch("io.open", open_file),
    ]
    for patch in patches:
        patch.start()
    try:
        yield made
    finally:
        for patch in patches:
            patch.stop()
