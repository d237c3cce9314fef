"""Seconds of EM for a Gaussian mixture, against scikit-learn, and of online EM in bounded memory.

    exact     100,000 x 20 rows, 20 full components, float64: both run the same number of iterations from
              the same start, with the same constant on the diagonals, and end at the same likelihood
    holes     the same rows with 10 % of the cells missing completely at random, against themselves whole
    online    10,000,000 x 20 rows in a float32 .npy file, one pass of online EM in a process of its own,
              whose largest resident size is what the system says of it

Runs are alternated; the figure to quote is the median over rounds of the ratio within a round. Reading
and checking the rows counts for both sides.

    python benchmarks/em.py [--rounds 3] [--iterations 10] [--rows 100000] [--online-rows 10000000]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from record import save_result

COLUMNS, COMPONENTS, REG_COVAR = 20, 20, 1e-6
MISSING = 0.1
LIMIT_GIB = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--online-rows", type=int, default=10_000_000)
    parser.add_argument("--online-file", help=argparse.SUPPRESS)  # the process of its own
    options = parser.parse_args()
    if options.online_file:
        print(json.dumps(online(options.online_file)))
        return
    content = {
        "exact": exact(options.rows, options.iterations, options.rounds),
        "holes": holes(options.rows, options.iterations, options.rounds),
    }
    if options.online_rows:
        content["online"] = online_in_a_process(options.online_rows)
    print(save_result("em", content))


def exact(rows: int, iterations: int, rounds: int) -> dict[str, Any]:
    """Alternated runs of both sides."""
    x, means = mixture_rows(rows), None
    means = x[np.random.default_rng(1).choice(rows, COMPONENTS, replace=False)]
    sides = {"taut": taut_run(x, means), "scikit-learn": reference_run(x, means)}
    sides["taut"](2)  # compile
    times: dict[str, list[float]] = {name: [] for name in sides}
    ends: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            ends[name] = run(iterations)
            times[name].append(time.perf_counter() - start)
    ratio = statistics.median(
        r / t for r, t in zip(times["scikit-learn"], times["taut"], strict=True)
    )
    difference = abs(ends["taut"] / ends["scikit-learn"] - 1)
    for name, values in times.items():
        print(f"{name:13s} {statistics.median(values):7.2f} s for {iterations} iterations")
    print(f"scikit-learn / taut, median of ratios: {ratio:.2f}")
    print(f"log-likelihoods differ by {difference:.1e} of themselves")
    return {
        "rows": rows,
        "columns": COLUMNS,
        "components": COMPONENTS,
        "iterations": iterations,
        "seconds": times,
        "speedup": ratio,
        "log_likelihood_per_row": ends,
    }


def holes(rows: int, iterations: int, rounds: int) -> dict[str, Any]:
    """Alternated runs of EM on rows with missing cells and on the same rows whole."""
    x = mixture_rows(rows)
    means = x[np.random.default_rng(1).choice(rows, COMPONENTS, replace=False)]
    gone = np.random.default_rng(2).random(x.shape) < MISSING
    sides = {
        "whole": taut_run(x, means),
        "with holes": taut_run(np.where(gone, np.nan, x), means, holes=True),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run(2)  # compile
    for _ in range(rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run(iterations)
            times[name].append(time.perf_counter() - start)
    ratio = statistics.median(
        h / w for h, w in zip(times["with holes"], times["whole"], strict=True)
    )
    print(f"with holes / whole, median of ratios: {ratio:.2f}")
    return {
        "rows": rows,
        "columns": COLUMNS,
        "components": COMPONENTS,
        "missing": MISSING,
        "iterations": iterations,
        "seconds": times,
        "times_the_time_without_holes": ratio,
    }


def mixture_rows(rows: int, *, seed: int = 0) -> np.ndarray:
    """Draws of a mixture of correlated Gaussians."""
    generator = np.random.default_rng(seed)
    shape = np.random.default_rng(123)
    centers = 1.5 * shape.normal(size=(COMPONENTS, COLUMNS))
    factors = shape.normal(size=(COMPONENTS, COLUMNS, COLUMNS)) / np.sqrt(COLUMNS)
    owner = generator.integers(0, COMPONENTS, rows)
    x = np.empty((rows, COLUMNS))
    for k in range(COMPONENTS):
        own = owner == k
        x[own] = centers[k] + generator.normal(size=(own.sum(), COLUMNS)) @ factors[k].T
    return x


def taut_run(x: np.ndarray, means: np.ndarray, *, holes: bool = False) -> Any:
    import jax
    import jax.numpy as jnp

    from taut.inference.exact import Floor, RowBlocks, run_em
    from taut.models import GaussianMixture

    with jax.enable_x64(True):
        scale = jnp.tile(jnp.eye(COLUMNS), (COMPONENTS, 1, 1))
        start = GaussianMixture(jnp.zeros(COMPONENTS), jnp.asarray(means), scale, "full")

    def run(iterations: int) -> float:
        rows = RowBlocks(x, holes=holes)
        floor = Floor(0.0, REG_COVAR).of(start, rows)
        result = run_em(
            start, rows, floor, tolerance=0.0, max_iterations=iterations, monotone=False
        )
        return float(result.log_evidence[-1])

    return run


def reference_run(x: np.ndarray, means: np.ndarray) -> Any:
    from sklearn.mixture import GaussianMixture

    def run(iterations: int) -> float:
        model = GaussianMixture(
            COMPONENTS,
            reg_covar=REG_COVAR,
            tol=0.0,
            max_iter=iterations,
            weights_init=np.full(COMPONENTS, 1 / COMPONENTS),
            means_init=means,
            precisions_init=np.tile(np.eye(COLUMNS), (COMPONENTS, 1, 1)),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            model.fit(x)
        # The pass that this costs is one that taut's count of passes includes as well.
        return float(model.score(x))

    return run


def online_in_a_process(rows: int) -> dict[str, Any]:
    """Write the file, then fit it in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
        for part, first in enumerate(range(0, rows, 500_000)):
            last = min(first + 500_000, rows)
            stored[first:last] = mixture_rows(last - first, seed=part)
        stored.flush()
        del stored
        command = [sys.executable, __file__, "--online-file", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    content = json.loads(done.stdout.splitlines()[-1])
    print(
        f"online EM, {rows} x {COLUMNS}: {content['seconds']:.1f} s, "
        f"{content['peak_gib']:.2f} GiB resident at most (limit {LIMIT_GIB:g}), "
        f"held-out log-evidence {content['log_evidence']:.4f} nats per row"
    )
    return {"rows": rows, "columns": COLUMNS, "limit_gib": LIMIT_GIB, **content}


def online(path: str) -> dict[str, Any]:
    """One pass over a file, with the largest resident size of this process."""
    import taut

    start = time.perf_counter()
    fit = taut.em(path, model=taut.GMM(COMPONENTS), online=True, restarts=1)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": seconds,
        "peak_gib": peak,
        "log_evidence": fit.estimates["log_evidence"].value,
        "independent_columns": fit.estimates["independent_columns"].value,
    }


if __name__ == "__main__":
    main()
