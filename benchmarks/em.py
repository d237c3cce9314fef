"""Seconds of EM for a Gaussian mixture, against scikit-learn, and of online EM in bounded memory.

    exact     100,000 x 20 rows, 20 full components, float64: both run the same number of iterations from
              the same start, with the same constant on the diagonals, and end at the same likelihood
    gmmx      the same against gmmx, which is written in JAX, too, and takes float32 alone
    holes     the same rows with 10 % of the cells missing completely at random, against themselves whole
    stepmix   those with holes by 20 diagonal components, as many iterations as StepMix makes; the
              log-likelihood of what StepMix ends with is computed by both
    online    10,000,000 x 20 rows in a float32 .npy file, one pass of online EM in a process of its own,
              whose largest resident size is what the system says of it

Runs are alternated; the figure to quote is the median over rounds of the ratio within a round. Reading
and checking the rows counts for both sides.

    python benchmarks/em.py [--only exact holes] [--rounds 3] [--iterations 10] [--rows 100000]
                            [--online-rows 10000000]

What is not asked for stays in the results; every part has its commit.
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
from peers import python_of_peers
from record import RESULTS, commit, save_result

COLUMNS, COMPONENTS, REG_COVAR = 20, 20, 1e-6
MISSING = 0.1
PARTS = ("exact", "gmmx", "holes", "stepmix", "online")
PINS = ("stepmix==3.0.0", "scikit-learn==1.9.1", "numpy==2.4.6")
GMMX_PINS = ("gmmx==0.7", "jax==0.10.2", "jaxlib==0.10.2")
LIMIT_GIB = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--online-rows", type=int, default=10_000_000)
    parser.add_argument("--online-file", help=argparse.SUPPRESS)  # the process of its own
    options = parser.parse_args()
    if options.online_file:
        print(json.dumps(online(options.online_file)))
        return
    path = RESULTS / "em.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    content = {part: {"commit": known["commit"]} | known[part] for part in PARTS if part in known}
    for part in options.only:
        made = (
            online_in_a_process(options.online_rows)
            if part == "online"
            else OF_ROWS[part](options.rows, options.iterations, options.rounds)
        )
        content[part] = {"commit": commit(), **made}
    print(save_result("em", content))


def exact(rows: int, iterations: int, rounds: int) -> dict[str, Any]:
    """Alternated runs of both sides."""
    x, means = rows_and_means(rows)
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
    return _compared(rows, iterations, times, ratio, ends)


def gmmx(rows: int, iterations: int, rounds: int) -> dict[str, Any]:
    """Alternated runs of both sides from the same start."""
    x, means = rows_and_means(rows)
    run, times = taut_run(x, means), {"taut": [], "gmmx": []}
    run(2)  # compile
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "rows.npz", Path(folder) / "found.npz"
        np.savez(source, x=x, means=means, iterations=iterations)
        command = [python_of_peers("gmmx", GMMX_PINS), Path(__file__).with_name("em_gmmx.py")]
        for _ in range(rounds):
            start = time.perf_counter()
            own = run(iterations)
            times["taut"].append(time.perf_counter() - start)
            subprocess.run([*command, source, target], check=True)
            found = np.load(target)
            times["gmmx"].append(float(found["seconds"]))
    ratio = statistics.median(g / t for g, t in zip(times["gmmx"], times["taut"], strict=True))
    ends = {"taut": own, "gmmx": float(found["log_likelihood"])}
    print(f"gmmx / taut, median of ratios: {ratio:.2f}; ends {ends}")
    return {"pins": GMMX_PINS, **_compared(rows, iterations, times, ratio, ends)}


def _compared(
    rows: int,
    iterations: int,
    times: dict[str, list[float]],
    ratio: float,
    ends: dict[str, float],
) -> dict[str, Any]:
    """What a comparison of whole rows is told by."""
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
    x, means = rows_and_means(rows)
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


def stepmix(rows: int, iterations: int, rounds: int) -> dict[str, Any]:
    """Alternated runs of both sides on rows with holes."""
    x, means = rows_and_means(rows)
    x = np.where(np.random.default_rng(2).random(x.shape) < MISSING, np.nan, x)
    run = taut_run(x, means, holes=True, kind="diag")
    run(2)  # compile
    times: dict[str, list[float]] = {"taut": [], "StepMix": []}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "rows.npz", Path(folder) / "found.npz"
        np.savez(source, x=x, components=COMPONENTS, iterations=iterations)
        command = [python_of_peers("stepmix", PINS), Path(__file__).with_name("em_peers.py")]
        for _ in range(rounds):
            start = time.perf_counter()
            run(iterations)
            times["taut"].append(time.perf_counter() - start)
            subprocess.run([*command, source, target], check=True)
            found = np.load(target)
            times["StepMix"].append(float(found["seconds"]))
        again = taut_run(
            x, found["means"], holes=True, kind="diag", scale=np.sqrt(found["covariances"]),
            log_weights=np.log(found["weights"]), reg_covar=0.0,
        )  # fmt: skip
        likelihoods = {"StepMix": float(found["log_likelihood"]), "taut": again(1, first=True)}
    ratio = statistics.median(s / t for s, t in zip(times["StepMix"], times["taut"], strict=True))
    print(f"StepMix / taut, median of ratios: {ratio:.1f}; of StepMix's end {likelihoods}")
    return {
        "pins": PINS,
        "rows": rows,
        "columns": COLUMNS,
        "components": COMPONENTS,
        "missing": MISSING,
        "iterations": iterations,
        "seconds": times,
        "speedup": ratio,
        "log_likelihood_of_stepmix": likelihoods,
    }


def rows_and_means(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a mixture, and some of them, from which both sides start."""
    x = mixture_rows(rows)
    return x, x[np.random.default_rng(1).choice(rows, COMPONENTS, replace=False)]


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


def taut_run(
    x: np.ndarray,
    means: np.ndarray,
    *,
    holes: bool = False,
    kind: str = "full",
    scale: np.ndarray | None = None,
    log_weights: np.ndarray | None = None,
    reg_covar: float = REG_COVAR,
) -> Any:
    """EM from components of unit covariance and equal weights, if no others are given."""
    import jax
    import jax.numpy as jnp

    from taut.inference.exact import Floor, RowBlocks, run_em
    from taut.models import GaussianMixture

    if scale is None:
        unit = np.ones(COLUMNS) if kind == "diag" else np.eye(COLUMNS)
        scale = np.stack([unit] * COMPONENTS)
    with jax.enable_x64(True):
        logits = jnp.zeros(COMPONENTS) if log_weights is None else jnp.asarray(log_weights)
        start = GaussianMixture(logits, jnp.asarray(means), jnp.asarray(scale), kind)

    def run(iterations: int, *, first: bool = False) -> float:
        rows = RowBlocks(x, holes=holes)
        floor = Floor(0.0, reg_covar).of(start, rows)
        result = run_em(
            start, rows, floor, tolerance=0.0, max_iterations=iterations, monotone=False
        )
        return float(result.log_evidence[0 if first else -1])

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


OF_ROWS = {"exact": exact, "gmmx": gmmx, "holes": holes, "stepmix": stepmix}


if __name__ == "__main__":
    main()
