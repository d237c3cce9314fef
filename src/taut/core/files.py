"""Files appear whole or not at all: written beside, flushed to disk, renamed."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["write_atomically", "write_json"]


def write_atomically(path: Path | str, write: Callable[[BinaryIO], object]) -> Path:
    """Create or replace a file in one step.

    Arguments:
        path: the file; its folder must exist.
        write: called with an open binary file.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file is untouched.
    """
    path = Path(path)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
