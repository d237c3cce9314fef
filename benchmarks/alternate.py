"""Methods of one task, each a process, asked in turn.

On a machine whose speed drifts, only what ran within one round is compared: the figure to quote is the
median over rounds of the ratio within a round. `benchmarks/steps/serve.py` is the other side.
"""

import json
import os
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Method", "alternated", "median_ratio", "use_threads"]

_STEPS = Path(__file__).parent / "steps"


class Method:
    """A process that is ready when made: compiled and warm.

    Arguments:
        python: its interpreter.
        script: its file in `benchmarks/steps`.
        arguments: of the script.
    """

    def __init__(self, python: str, script: str, *arguments: object):
        command = [python, str(_STEPS / script), *map(str, arguments)]
        self.script = script
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._answer()["versions"]

    def milliseconds_per_step(self) -> float:
        """Of one run."""
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer()["milliseconds_per_step"]

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        # Libraries print lines of their own.
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.script} failed")


def alternated(methods: Mapping[str, Method], rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of each method in each round."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            times[name].append(method.milliseconds_per_step())
    return times


def median_ratio(times: Mapping[str, list[float]], above: str, below: str) -> float:
    """Median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times[above], times[below], strict=True))


def use_threads(count: int) -> None:
    """Keep this process and those it starts to so many cores and threads.

    XLA takes a thread for each core that it may use.
    """
    cores = sorted(os.sched_getaffinity(0))[:count]
    if len(cores) < count:
        raise SystemExit(f"{count} threads need as many cores, and there are {len(cores)}")
    os.sched_setaffinity(0, cores)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
