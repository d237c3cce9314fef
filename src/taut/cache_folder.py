"""Where taut keeps what it can make again: folders of this user's alone, in `$XDG_CACHE_HOME/taut`."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(*parts: str) -> Path | None:
    """A folder for things of one kind, made where there is none.

    Arguments:
        parts: its name, and those of folders in it.

    Returns:
        the folder; None where it cannot be made, or others may write to it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home.joinpath("taut", *parts)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
    except OSError:
        return None
    mine = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)
    return folder if mine else None
