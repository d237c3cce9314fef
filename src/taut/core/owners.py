"""Which process something belongs to, and whether that process still runs.

A process id alone says little: it is given again, after a restart of a container always the same one.
With the moment at which the process began it is one process of its host, and of no other.
"""

import functools
import os
import platform
import subprocess
import zlib
from pathlib import Path
from typing import NamedTuple

__all__ = ["Owner", "began", "this_process"]

_PROC = Path("/proc")
_BEGAN = 18  # place of the start in /proc/PID/stat, counted behind the state (proc(5), field 22)


class Owner(NamedTuple):
    """A process.

    Attributes:
        host: name of its machine.
        boot: of the running system, which containers share; empty where the system has none.
        pid: its number.
        began: when it began, see `began`.
    """

    host: str
    boot: str
    pid: int
    began: str

    @property
    def is_here(self) -> bool:
        """True for a process whose end can be seen from here: of this machine, or of its system."""
        here = this_process()
        return self.host == here.host or (bool(self.boot) and self.boot == here.boot)

    @property
    def is_gone(self) -> bool:
        """True where it is known that it no longer runs."""
        here = this_process()
        if not self.is_here:
            return False
        if self.boot != here.boot:
            return True  # the machine was started again since
        return began(self.pid) != self.began


def this_process() -> Owner:
    """The process that asks."""
    return _process(os.getpid())


def began(pid: int) -> str:
    """A word that tells apart the processes that have one number, one after another.

    Returns:
        the start in ticks of the system's clock, or a checksum of what `ps` says; empty where no such
        process runs (one that has ended and is not waited for does not run).
    """
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if (_PROC / "self" / "stat").exists() else _said(pid)
    return "" if state in "ZX" else fields[_BEGAN]


def _said(pid: int) -> str:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{zlib.crc32(said.encode()):08x}" if said else ""


@functools.lru_cache(maxsize=1)
def _process(pid: int) -> Owner:
    boot = _PROC / "sys" / "kernel" / "random" / "boot_id"
    name = boot.read_text().strip() if boot.is_file() else ""
    return Owner(platform.node(), name, pid, began(pid))
