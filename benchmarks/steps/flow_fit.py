"""One fit of a flow as `benchmarks/flows.py` asks for it, whatever the library.

A worker is handed a .npz file with standardised rows `train`, `validation`, `test`, (N, D), in float32,
and the row numbers of every step of every fit, `order`, (keys, steps, batch). A fit takes all steps; the
parameters with the best mean log-density of the validation rows, looked at every EVERY steps, are kept,
and log-densities of the test rows are told.

Arguments: the .npz file, kind of layer (see `flow_sizes.py`), file for the results.
"""

import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

EVERY = 50  # steps between two looks at the validation rows


class Fit(Protocol):
    """A flow on its way."""

    def advance(self, order: np.ndarray) -> None:
        """One step for each row of numbers, (EVERY, batch)."""
        ...

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Of rows, nats, (N,)."""
        ...

    @property
    def num_parameters(self) -> int: ...


def work(start: Callable[[str, np.ndarray, int], Fit], *packages: str) -> None:
    """All fits of a task.

    Arguments:
        start: from the kind of layer, the training rows and a number that starts all that is random
            to a fit before its first step.
        packages: whose versions belong to the result.
    """
    path, kind, out = sys.argv[1:]
    rows = np.load(path)
    found: dict[str, list[Any]] = {"test": [], "validation": [], "step": [], "seconds": []}
    num_parameters = 0
    for number, order in enumerate(rows["order"]):
        began = time.perf_counter()
        fit = start(kind, rows["train"], number)
        best, test, step = -np.inf, np.zeros(0), 0
        for first in range(0, len(order), EVERY):
            fit.advance(order[first : first + EVERY])
            value = float(np.mean(fit.log_density(rows["validation"]), dtype=np.float64))
            if value > best:
                best, test, step = value, fit.log_density(rows["test"]), first + EVERY
        num_parameters = fit.num_parameters
        seconds = time.perf_counter() - began
        for name, content in zip(found, (test, best, step, seconds), strict=True):
            found[name].append(content)
    versions = np.array([f"{name} {version(name)}" for name in packages])
    np.savez(out, **found, num_parameters=num_parameters, versions=versions)
