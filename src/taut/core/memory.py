"""Memory: how much is free, and what asks for more than that, told before it is asked for.

A compiled program says what it will hold beside its arguments. Where that is more than is free it is
refused before it runs: an operating system that lends more than it has ends a process without a word.
What is refused only when it is asked for is told in the same words.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from taut.core.hosts import num_hosts
from taut.errors import InputError, RunError, TautError, option

__all__ = ["TooMuchMemory", "check_program", "free_bytes", "within_memory"]

_SHARE = 0.8  # of the free memory that is offered: the rest of the process grows, too
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_FAILED = re.compile(r"RESOURCE_EXHAUSTED|[Oo]ut of memory")
_BYTES = re.compile(r"allocat\w+ ([\d.]+) ?(\w+)")  # XLA in bytes, NumPy in larger units
# The limit of a container, what it holds, and what of that is a copy of files, by version of cgroups.
_CONTAINERS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
     "total_inactive_file"),
)  # fmt: skip


class TooMuchMemory(InputError):
    """More memory is asked for than there is.

    Attributes:
        share: of what is asked for that is there; 0 where it is not known.
    """

    share = 0.0

    def of(self, asked: dict[str, int]) -> "TooMuchMemory":
        """The same with options that memory grows with, and how many of the largest would fit."""
        name = max(asked, key=lambda name: asked[name])
        expected, got, remedy = self.parts
        fits = _rounded(asked[name] * self.share * _SHARE)
        if fits >= 1:
            remedy = option(name, fits)
        with_option = f"{got} with {option(name, asked[name])}"
        return type(self)(expected, with_option, remedy, where="memory")


def free_bytes() -> int | None:
    """What the device can still hold; None where that is not known."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else limit - stats.get("bytes_in_use", 0)
    found = [_of_machine(), *(_of_container(*names) for names in _CONTAINERS)]
    known = [number for number in found if number is not None]
    return min(known) if known else None


def check_program(compiled: Any) -> None:
    """Refuse a compiled program that holds more than is free.

    Raises:
        TooMuchMemory: it does.
        RunError: likewise, on one of several hosts.
    """
    stats = compiled.memory_analysis()
    if stats is None:
        return
    needed = stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    free = free_bytes()
    if free is not None and needed > free:
        raise _of_host(_refused(needed, free))


@contextlib.contextmanager
def within_memory(**asked: int | None) -> Iterator[None]:
    """Tell a failure for want of memory in one line, with how much of an option would fit.

    Arguments:
        asked: options that memory grows with, by name.
    """
    given = {name: value for name, value in asked.items() if value}
    try:
        yield
    except TooMuchMemory as error:
        raise _of_host(error.of(given) if given else error) from None
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _FAILED.search(str(error)):
            raise
        found = _BYTES.search(str(error))
        known = found is not None and found[2] in _UNITS
        size = int(float(found[1]) * 1024 ** _UNITS.index(found[2])) if found and known else None
        refused = _refused(size, free_bytes())
        raise _of_host(refused.of(given) if given else refused) from error


def _refused(needed: int | None, free: int | None) -> TooMuchMemory:
    """The message, with what is known."""
    error = TooMuchMemory(
        "no more memory at once than there is" + (f", {_size(free)}" if free is not None else ""),
        "more" if needed is None else _size(needed),
        "fewer draws or rows at once, or a smaller model",
        where="memory",
    )
    if needed and free is not None:
        error.share = free / needed
    return error


def _of_host(refused: TooMuchMemory) -> TautError:
    """What one of several hosts lacks ends them all: the others would go on without it."""
    if num_hosts() == 1:
        return refused
    return RunError(*refused.parts, where=refused.where)


def _size(count: int) -> str:
    """Bytes in words."""
    power = min(max(math.ceil(math.log2(count + 1) / 10) - 1, 0), len(_UNITS) - 1)
    return f"{count / 2 ** (10 * power):.4g} {_UNITS[power]}"


def _rounded(number: float) -> int:
    """The largest number with one digit other than zero that is not above."""
    if number < 1:
        return 0
    unit = 10 ** math.floor(math.log10(number))
    return int(number // unit * unit)


def _of_machine() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def _of_container(most: str, held: str, stat: str, files: str) -> int | None:
    """What is left below the limit of a container, files that can be read again left out."""
    folder = Path("/sys/fs/cgroup")
    limit, used = (next(iter(_lines(folder / name)), "") for name in (most, held))
    if not (limit.isdigit() and used.isdigit()):
        return None
    named = (line.split() for line in _lines(folder / stat))
    again = sum(int(number) for name, number in named if name == files)
    return max(int(limit) - int(used) + again, 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
