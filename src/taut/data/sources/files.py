"""Files as bytes: present, not empty, and unpacked where gzip packed them."""

import difflib
import gzip
import io
import os
import zlib
from pathlib import Path

from taut.errors import InputError

__all__ = ["existing_file", "expanded", "extension", "file_bytes", "opened_file"]


def extension(path: str) -> str:
    """The file's ending in lower case, `.gz` put aside: `.csv` for `a/b.CSV.gz`; '' without one."""
    return Path(path.lower().removesuffix(".gz")).suffix


def expanded(path: str) -> Path:
    """The path with a home folder for `~`, where there is one."""
    return Path(os.path.expanduser(path))


def existing_file(path: str) -> Path:
    """The path of a file that is there and holds something.

    Raises:
        InputError: no such file, with the nearest name beside it; a path that cannot be one; a folder;
            an empty file.
    """
    file = expanded(path)
    try:
        file.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        shown = path if len(path) <= 80 else f"{path[:40]}...{path[-30:]}"
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("a path that can be read", reason, "another path", where=shown) from None
    if file.is_dir():
        raise InputError("a file", "a folder", f"one of the files in {path}", where=path)
    if not file.exists():
        raise InputError("a file", "nothing of that name", _beside(file), where=path)
    if file.stat().st_size == 0:
        raise InputError("a file with content", "an empty file", "writing it again", where=path)
    return file


def file_bytes(path: str) -> bytes:
    """The content of a file, unpacked if its first bytes are those of gzip.

    Raises:
        InputError: as `existing_file`, or packed content that is cut short or damaged.
    """
    with opened_file(path) as file:
        return file.read()


def opened_file(path: str) -> io.BufferedIOBase:
    """A file open for reading, unpacked in memory if its first bytes are those of gzip.

    Raises:
        InputError: as `file_bytes`.
    """
    file = existing_file(path).open("rb")
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    with file:
        content = file.read()
    try:
        return io.BytesIO(gzip.decompress(content))
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            "a whole gzip file",
            f"one that is damaged or cut short ({error})",
            "fetching it again",
            where=path,
        ) from error


def _beside(file: Path) -> str:
    """What to try instead of a file that is not there."""
    if not file.parent.is_dir():
        return f"another folder, as {file.parent} is not there either"
    close = difflib.get_close_matches(file.name, [p.name for p in file.parent.iterdir()], n=1)
    if close:
        return f"'{file.parent / close[0]}'"
    return f"one of the files in {'this folder' if file.parent == Path('.') else file.parent}"
