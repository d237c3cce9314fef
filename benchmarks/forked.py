"""`taut` in children of a process that has imported it, and the moments at which they are stopped.

A trial of its own process pays a second of imports; a child of one that has imported everything, but
opened no device, runs `main(words)` after a fork. Stopped by a signal it is as a process is that was
started by a shell: SIGKILL ends all of its threads between two instructions, none of its code runs
afterwards, and the system closes its files and drops its locks, of which the parent shares none, as
they were opened after the fork. What its kill cannot meet is the import of the modules, before which
nothing is written.

A moment is a time on the child's own processor clock, which runs as fast however busy the machine is,
or the n-th change of a name or opening for writing of a file under the working folder: every such
operation can be hit, as in a loop over all of them, just before it is done.
"""

import math
import mmap
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["NEVER", "Command", "Moment", "Used", "left", "moment", "warm"]

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FIRST = 0.02  # seconds in which options are read and folders claimed
_TICK = 0.001
_LATE = (
    "matplotlib.backends.backend_agg", "matplotlib.figure", "taut.api", "taut.api.auditing",
    "taut.api.calibrating", "taut.api.refitting", "taut.cli.output", "taut.report.calibration",
    "taut.report.draw_audit", "taut.report.draw_em", "taut.report.draw_fit",
    "taut.report.draw_posterior",
)  # fmt: skip


class Moment(NamedTuple):
    """When a command is stopped: at what comes first.

    Attributes:
        seconds: of processor time.
        change: number of the change of a file, from 1; 0 for none.
    """

    seconds: float = math.inf
    change: int = 0


NEVER = Moment()


class Used(NamedTuple):
    """What a command took: seconds of processor time, and changes of files."""

    seconds: float
    changes: int


def moment(generator: random.Random, whole: Used) -> Moment:
    """One within the life of a command: one in ten in its first hundredths of a second, the others
    by halves at any time and at any change of a file."""
    kind = generator.random()
    if kind < 0.1:
        return Moment(seconds=generator.uniform(0, _FIRST))
    if kind < 0.55:
        return Moment(seconds=generator.uniform(0, whole.seconds))
    return Moment(change=generator.randint(1, max(whole.changes, 1)))


class Command:
    """`taut` in a child of this process.

    Arguments:
        words: of the command line.
        cwd: the folder that it runs in.
        at: when it is stopped; never by default.
        number: of the signal that stops it.
    """

    def __init__(
        self,
        words: list[str],
        *,
        cwd: Path,
        at: Moment = NEVER,
        number: int = signal.SIGKILL,
    ):
        self._lines = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the command
        self._changes = mmap.mmap(-1, 8)
        self.said, self.code, self.used = "", None, Used(0.0, 0)
        self._at, self._number, self._sent = at, number, False
        self._pid = os.fork()
        if self._pid == 0:
            os.chdir(cwd)
            self._become(words)

    @property
    def ended(self) -> bool:
        if self.code is None:
            if not self._sent and (at := self._at.seconds) < math.inf and self._seconds() >= at:
                self.signal(self._number)
            pid, status, used = os.wait4(self._pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                changes = int.from_bytes(self._changes[:8], "little")
                self.used = Used(used.ru_utime + used.ru_stime, changes)
        return self.code is not None

    @property
    def stopped(self) -> bool:
        """True of one that has ended by the signal."""
        return self.code in (-self._number, 128 + self._number)

    def signal(self, number: int) -> None:
        self._sent = True
        os.kill(self._pid, number)

    def wait(self) -> int:
        while not self.ended:
            time.sleep(_TICK)
        self._lines.seek(0)
        self.said = self._lines.read()
        self._lines.close()
        assert self.code is not None
        return self.code

    def _seconds(self) -> float:
        return time.clock_gettime(~self._pid << 3 | 2)  # the clock of all threads of a process

    def _become(self, words: list[str]) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(self._lines.fileno(), 2)
        sys.argv, code = ["taut", *words], 70
        sys.addaudithook(self._watch(os.getcwd()))
        try:
            from taut.cli.main import main

            code = main()
            sys.stderr.flush()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _watch(self, here: str) -> Any:
        made, within = 0, os.path.realpath(here)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal made
            if event not in _CHANGES or isinstance(arguments[0], int):
                return
            if event == "open" and not arguments[2] & _WRITES:
                return
            place = os.fsdecode(arguments[0])
            if os.path.isabs(place) and not place.startswith(within):
                return
            made += 1
            self._changes[:8] = made.to_bytes(8, "little")
            if made == self._at.change:
                os.kill(os.getpid(), self._number)

        return hook


def warm() -> None:
    """Import what commands need; nothing that starts a thread or opens a device."""
    import importlib

    from taut.cli.main import COMMANDS
    from taut.program_cache import compilation_cache

    with compilation_cache():  # JAX reads where it is when it is imported
        for place, _ in COMMANDS.values():
            importlib.import_module(place.partition(":")[0])
        for name in _LATE:
            importlib.import_module(name)


def left(folder: Path) -> list[Path]:
    """Hidden files: what commands write beside, and what they hold a folder by."""
    return list(folder.rglob(".*"))
