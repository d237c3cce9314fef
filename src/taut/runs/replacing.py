"""A run that takes the place of another: it is written within, and moved up once it is whole.

    RUN/                  the run that is there, whole until then
    RUN/.taut.new/        the one that replaces it, a run folder of its own

Moving is a few renames, summary.json and config.toml last. Whoever stops it, at whatever moment, leaves
what the next claim of the folder finishes: the old run goes, its config.toml last, and as long as that
is there nothing was moved; from then on all that lies within is moved.
"""

import contextlib
from pathlib import Path

from taut.runs.own_files import NEXT, own_files

__all__ = ["is_between", "move_up", "named_by_user"]

_LAST = ("summary.json", "config.toml")
_KEPT = "metrics.jsonl"  # until the new one is put over it: a folder without is no run


def is_between(folder: Path) -> bool:
    """True where a move was stopped: the old run has gone, and the new one is not all there."""
    return not (folder / "config.toml").exists() and (folder / NEXT / "config.toml").is_file()


def move_up(folder: Path) -> None:
    """Put the run within a folder in the place of the one that is there.

    Arguments:
        folder: that of the old run; files that are not taut's own stay in it.
    """
    within = folder / NEXT
    if not is_between(folder):
        for old in own_files(folder):
            if old.name != _KEPT:
                old.unlink()
    files = own_files(within)
    for file in sorted(files, key=lambda f: _LAST.index(f.name) if f.name in _LAST else -1):
        target = folder / file.relative_to(within)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
    for empty in (within / "checkpoints", within / "figures", within):
        with contextlib.suppress(OSError):
            empty.rmdir()


def named_by_user(run: Path) -> Path:
    """The folder under which a run is known, which for a run within another is the outer one."""
    return run.parent if run.name == NEXT else run
