"""What a worker of `vi_speed` hands back: Gaussian guides at checkpoints, with the seconds they took.

A guide is N(loc, factor factor^T) over the unconstrained latents in the order of their sites' names.
Seconds count from the first touch of the model, after the imports, and include compilation; the clock
stands still while a checkpoint is copied. NumPy only: peers run it in an environment of their own.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Clock", "Recorder"]

_APART = 1.1, 0.01  # neighbouring checkpoints: ratio of their seconds, and least difference


class Clock:
    """Seconds that count."""

    def __init__(self):
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def skip(self, since: float) -> None:
        """Leave out what has passed since the clock showed that many seconds."""
        self._start += self.seconds() - since


class Recorder:
    """Checkpoints of one run, thinned to a fixed ratio of times."""

    def __init__(self, clock: Clock, before: float = 0.0):
        """With seconds that earlier, shared work has taken."""
        self.clock, self.before = clock, before
        self.seconds: list[float] = []
        self.loc: list[np.ndarray] = []
        self.factor: list[np.ndarray] = []
        self.steps: list[int] = []

    def due(self) -> bool:
        ratio, least = _APART
        last = self.seconds[-1] - self.before if self.seconds else -math.inf
        return self.clock.seconds() > max(ratio * last, last + least)

    def add(self, read: Any, steps: int) -> None:
        """Record what `read()` gives, (loc, factor); its time does not count."""
        now = self.clock.seconds()
        loc, factor = read()
        factor = np.asarray(factor, np.float64)
        self.seconds.append(self.before + now)
        self.loc.append(np.asarray(loc, np.float64))
        self.factor.append(np.diag(factor) if factor.ndim == 1 else factor)
        self.steps.append(steps)
        self.clock.skip(now)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        columns = {
            "seconds": self.seconds, "loc": self.loc, "factor": self.factor, "steps": self.steps,
        }  # fmt: skip
        return {f"{name}/{column}": np.asarray(values) for column, values in columns.items()}


def write(path: Path, facts: dict[str, Any], runs: dict[str, Recorder]) -> None:
    """One .npz of all runs, with the facts as JSON beside."""
    arrays = {k: v for name, run in runs.items() for k, v in run.arrays(name).items()}
    np.savez(path, **arrays)
    path.with_suffix(".json").write_text(json.dumps({**facts, "runs": list(runs)}))
