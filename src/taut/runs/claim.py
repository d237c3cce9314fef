"""Who writes a run folder: one process at a time, and of that process one thread.

    with claimed(out):                                    # a new run, or one that is there
    with claimed_next("runs", "digits-vae") as folder:    # the first free runs/digits-vae-N

Whoever fits, resumes or replaces claims the folder before computing (`RunFolder.for_writing`, which also
says whether a run may begin or go on there) and holds it until the last file is written. The thread that
holds a folder may claim it again, so that a door which claims one can call another that does, too.
Reading takes no claim.

A claim is the file `.taut.lock` in the folder; see `lock_file` for when a holder that was killed no
longer counts. A claim that ends leaves no trace: its file goes, and the folder where the claim made it
and nothing came into it. One that ends by Ctrl-C or on a full disk names the command that goes on with
the run. What killed processes have left half written goes when it begins.
"""

import contextlib
import errno
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taut.core import InputError, RunError, option, sweep
from taut.runs.lock_file import Holder, give_back, take
from taut.runs.own_files import LOCK, NEXT
from taut.runs.resumed_by import resumed_by
from taut.signals import Interrupted

__all__ = ["claimed", "claimed_next", "numbered"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SWEPT = (".", "checkpoints", "figures")


@dataclass
class _Held:
    """A folder that a thread of this process holds, and how often it has claimed it."""

    folder: Path
    key: tuple[int, int]
    descriptor: int
    owner: tuple[int, int]
    times: int = 0


_held: dict[tuple[int, int], _Held] = {}  # by device and inode of the folder, whatever it is called


@contextlib.contextmanager
def claimed(path: Path | str) -> Iterator[Path]:
    """Hold a folder, which is made where it is missing.

    Arguments:
        path: of the folder; the current one or a mounted volume will do.

    Raises:
        InputError: another process or thread holds it, or it cannot be written.
        RunError: the disk was full while the block wrote the run that is there.
    """
    folder = Path(path)
    with _attempt(folder) as holder:
        if holder is not None:
            raise _refusal(folder, holder)
        yield folder


@contextlib.contextmanager
def claimed_next(parent: Path | str, name: str) -> Iterator[Path]:
    """Hold the first of name-1, name-2, ... that is not there yet; see `numbered`.

    A folder with nothing in it but the file of a holder that is gone is as good as none.

    Raises:
        InputError: `parent` cannot be written.
    """
    for path in numbered(parent, name):
        if path.exists() and not _is_bare(path):
            continue
        with _attempt(path, again=False) as holder:
            if holder is None and _is_bare(path):
                yield path
                return


def numbered(parent: Path | str, name: str) -> Iterator[Path]:
    """name-1, name-2, ... in a folder; odd characters of the name become hyphens."""
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-") or "run"
    return (Path(parent) / f"{stem}-{number}" for number in itertools.count(1))


@contextlib.contextmanager
def _attempt(folder: Path, *, again: bool = True) -> Iterator[Holder | None]:
    """Hold a folder while the block runs, and hand it None; or hand it who holds the folder.

    Arguments:
        folder: what is claimed.
        again: this thread may hold it already.
    """
    typed, folder, made = folder, folder.absolute(), []
    try:
        found = _entered(folder, made, again=again)
        if isinstance(found, Holder):
            yield found
            return
        found.times += 1
        before = _begun(folder)
        try:
            if found.times == 1:
                for name in _SWEPT:
                    sweep(folder / name)
            yield None
        except KeyboardInterrupt as interrupt:
            if found.times > 1 or not _goes_on(folder, before):
                raise
            stopped = Interrupted.of(interrupt)
            raise Interrupted(f"{stopped}; {resumed_by(typed)} goes on", stopped.number) from None
        except OSError as error:
            if found.times > 1 or error.errno not in _FULL or not _goes_on(folder, before):
                raise
            raise RunError(
                "room on the disk", f"{error.strerror}; what was written before is whole",
                f"making room, then {resumed_by(typed)}", where=str(typed),
            ) from error  # fmt: skip
        finally:
            found.times -= 1
            if not found.times and _held.pop(found.key, None) is found:  # a child has forgotten it
                with contextlib.suppress(OSError):
                    give_back(found.folder / LOCK, found.descriptor)
    finally:
        for empty in reversed(made):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _entered(folder: Path, made: list[Path], *, again: bool) -> _Held | Holder:
    """The claim that this thread has on a folder, an older or a new one, or who else holds it.

    Arguments:
        folder: what is claimed.
        made: grows by the folders that were missing, outermost first.
        again: see `_attempt`.

    Raises:
        InputError: the folder cannot be made or written.
    """
    owner = (os.getpid(), threading.get_ident())
    while True:
        try:
            _make(folder, made)
            key = _key(folder)
            held = _held.get(key)
            if again and held is not None and held.owner == owner:
                return held
            taken = take(folder / LOCK)
        except FileNotFoundError:
            continue  # whoever had made the folder has just removed it again
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise InputError(
                "a folder that can be written", f"{error.strerror or error}", f"another {option('out')}",
                where=str(folder),
            ) from None  # fmt: skip
        if not isinstance(taken, Holder):
            _held[key] = _Held(folder, key, taken, owner)
            return _held[key]
        return taken


def _key(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and its parents; `FileNotFoundError` where another process has just removed one."""
    missing = list(itertools.takewhile(lambda p: not p.exists(), (folder, *folder.parents)))
    other = NotADirectoryError(errno.ENOTDIR, "something else of that name")
    if any(path.is_symlink() for path in missing):  # to nothing, on the way as well as at its end
        raise other
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            made.append(path)
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise other


def _begun(folder: Path) -> list[tuple[int, int] | None]:
    """Tells the run in a folder, and the one that replaces it, from others that were begun there."""
    found: list[tuple[int, int] | None] = []
    for path in (folder / "config.toml", folder / NEXT / "config.toml"):
        try:
            status = path.stat()
            found.append((status.st_ino, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _goes_on(folder: Path, before: list[tuple[int, int] | None]) -> bool:
    """Whether there is a run to resume: one that has begun since, or one without results."""
    now = _begun(folder)
    return any(now) and (now != before or not (folder / "summary.json").is_file())


def _is_bare(folder: Path) -> bool:
    try:
        return os.listdir(folder) == [LOCK]
    except FileNotFoundError:
        return True  # whoever had made it has just removed it again
    except NotADirectoryError:
        return False


def _refusal(folder: Path, holder: Holder) -> InputError:
    if (owner := holder.owner) is None:
        got, rest = "one that another process has just taken", ""
    else:
        got = f"one held by process {owner.pid} on {owner.host} since {holder.since}"
        rest = (
            "" if owner.is_here else f"; if that process no longer runs, removing {folder / LOCK}"
        )
    return InputError(
        "a run folder that nobody else writes", got,
        f"again when it has ended, or another {option('out')}{rest}", where=str(folder),
    )  # fmt: skip


def _forget() -> None:
    """A child of this process holds nothing, and does not keep its parent's locks alive."""
    for held in _held.values():
        os.close(held.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
