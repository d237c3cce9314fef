"""The side of a method in a benchmark of steps: run when asked, say how long a step took.

A method is a process of its own, so that libraries that cannot share an environment can share a
comparison. `benchmarks/alternate.py` holds the other side.

    standard input      a line for each run
    standard output     first {"versions": ...}, once everything is compiled and warm;
                        then {"milliseconds_per_step": ...} for each run

Arguments: a .npy file of rows (N, cells), 0 or 1 in float32; the steps of a run; the method's own.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

BATCH = 128
HIDDEN, LATENT = 400, 20  # of the multilayer perceptron
CONV_LATENT = 16


def task() -> tuple[np.ndarray, np.ndarray]:
    """The rows, and which of them each step sees, (steps, BATCH)."""
    x = np.load(sys.argv[1])
    steps = int(sys.argv[2])
    return x, np.random.default_rng(0).integers(0, len(x), (steps, BATCH)).astype(np.int32)


def serve(run: Callable[[], Any], *packages: str) -> None:
    """Run once to compile and warm up, then whenever asked.

    Arguments:
        run: does all steps and returns when they are done.
        packages: whose versions belong to the figures.
    """
    run()
    answer({"versions": {name: version(name) for name in packages}})
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        answer({"milliseconds_per_step": seconds / int(sys.argv[2]) * 1e3})


def answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)
