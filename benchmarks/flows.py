"""Flows on tables against Zuko's, and training steps against Zuko's and FlowJAX's own loop.

quality     concrete, power-plant, wine-quality-red, energy: all columns, the target among them, 80/10/10
            by key, standardised by the training rows. Affine and spline coupling and MAF of one
            architecture (`steps/flow_sizes.py`), Adam, the same rows in every step; each library starts
            as it does, and the parameters with the best validation value are kept on both sides.
            Several keys for the start and the order of rows. Compared by the mean difference and its
            standard error: over test rows, of the differences of means over keys, and over the keys.
time        milliseconds a step of batch 128, each library a process of its own, asked in turn; the
            figure is the median over rounds of the ratio within a round.

Zuko installs itself on the first run (see `benchmarks/peers.py`).

    TAUT_DATA=FOLDER python benchmarks/flows.py [--only WORD] [--keys 3] [--steps 2000]
    TAUT_DATA=FOLDER python benchmarks/flows.py --time [--rounds 9] [--time-steps 200] [--threads 2]

A comparison that is in the result file is not repeated.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from alternate import Method, alternated, median_ratio, use_threads
from peers import FLOW_PINS, python_of_peers
from record import RESULTS, conditions, write_whole

from taut.data import load_data

STEPS = Path(__file__).resolve().parent / "steps"
PATH = RESULTS / "flows.json"
TABLES = ("concrete", "power-plant", "wine-quality-red", "energy")
KINDS = ("affine-coupling", "spline-coupling", "maf")
BATCH = 128
SPLIT_KEY = 0
TIMED = "power-plant"  # rows enough for any number of batches
AIMS = {"zuko": 1.5, "FlowJAX": 1.0}  # least ratio of their times to taut's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="comparisons whose names contain this word")
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--time", action="store_true", help="steps a second instead of quality")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--time-steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.keys < 2:
        raise SystemExit(
            f"--keys: expected two at least, which an error needs, got {options.keys}; try 3"
        )
    if options.threads:
        use_threads(options.threads)
    peers = python_of_peers("flows", FLOW_PINS)
    found: dict[str, Any] = json.loads(PATH.read_text()) if PATH.exists() else {}
    if options.time:
        found["time"] = timed(peers, options.rounds, options.time_steps, options.threads)
        save(found)
        return
    quality = found.setdefault("quality", {})
    for name in TABLES:
        for kind in KINDS:
            title = f"{name}, {kind}"
            if options.only and options.only not in title:
                continue
            if title not in quality:
                quality[title] = compared(peers, name, kind, options.keys, options.steps)
                save(found)
            print_row(title, quality[title])
    behind = [title for title, row in quality.items() if row["difference"] < -2 * row["error"]]
    print(f"taut is behind by more than two errors in {len(behind)} of {len(quality)}: {behind}")


def compared(peers: str, name: str, kind: str, keys: int, steps: int) -> dict[str, Any]:
    """Both libraries on one table with one kind of layer."""
    rows = table(name)
    size = (keys, steps, min(BATCH, len(rows["train"])))
    order = np.random.default_rng(0).integers(0, len(rows["train"]), size).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.npz"
        np.savez(task, order=order, **rows)
        results = {}
        for library, python in (("taut", sys.executable), ("zuko", peers)):
            out = Path(folder) / f"{library}.npz"
            script = STEPS / f"flow_fit_{library}.py"
            subprocess.run([python, str(script), str(task), kind, str(out)], check=True)
            results[library] = dict(np.load(out))
    each = results["taut"]["test"].mean(axis=0) - results["zuko"]["test"].mean(axis=0)
    of_keys = [r["test"].mean(axis=1).var(ddof=1) / keys for r in results.values()]
    errors = {
        "rows_error": each.std(ddof=1) / np.sqrt(len(each)),
        "keys_error": sum(of_keys) ** 0.5,
    }
    return {
        "difference": float(each.mean()),
        "error": math.hypot(*errors.values()),
        **{name: float(error) for name, error in errors.items()},
        **{library: outcome(result) for library, result in results.items()},
        "rows": {part: len(x) for part, x in rows.items()},
        "columns": rows["train"].shape[1],
        "steps": steps,
        "conditions": conditions(),
    }


def outcome(result: dict[str, np.ndarray]) -> dict[str, Any]:
    """What one library's fits came to, a number for each key."""
    return {
        "log_likelihood": result["test"].mean(axis=1).tolist(),
        "validation": result["validation"].tolist(),
        "best_step": result["step"].tolist(),
        "seconds": result["seconds"].round(2).tolist(),
        "parameters": int(result["num_parameters"]),
        "versions": result["versions"].tolist(),
    }


def table(name: str) -> dict[str, np.ndarray]:
    """Standardised rows of the three parts."""
    folder = os.environ.get("TAUT_DATA")
    if folder is None:
        raise SystemExit("TAUT_DATA must name a folder with uci/concrete.txt.gz and the others")
    with gzip.open(Path(folder) / "uci" / f"{name}.txt.gz", "rt") as lines:
        data = load_data(np.loadtxt(lines), seed=SPLIT_KEY, support="real", name=name)
    shift, scale = data.schema.shift, data.schema.scale
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {n: ((rows.x - shift) / scale).astype(np.float32) for n, rows in parts.items()}


def timed(peers: str, rounds: int, steps: int, threads: int) -> dict[str, Any]:
    """Milliseconds a step of the three libraries with each kind of layer."""
    load = os.getloadavg()[0]
    content: dict[str, Any] = {"rounds": rounds, "steps": steps, "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, table(TIMED)["train"])
        for kind in KINDS:
            given = (path, steps, kind)
            methods = {
                "taut": Method(sys.executable, "flow_taut.py", *given),
                "zuko": Method(peers, "flow_zuko.py", *given),
                "FlowJAX": Method(sys.executable, "flow_flowjax.py", *given),
            }
            times = alternated(methods, rounds)
            for method in methods.values():
                method.close()
            speed = {peer: median_ratio(times, peer, "taut") for peer in AIMS}
            content[kind] = {
                "milliseconds_per_step": times,
                "speed_over": speed,
                "versions_by_method": {name: method.versions for name, method in methods.items()},
            }
            middle = ", ".join(f"{name} {np.median(t):.2f} ms" for name, t in times.items())
            ratios = ", ".join(f"{s:.2f} of {p} (aim {AIMS[p]})" for p, s in speed.items())
            print(f"{kind}: {middle}; speed {ratios}", flush=True)
    return content | {"load_before": load, "conditions": conditions()}


def save(found: dict[str, Any]) -> None:
    """Everything so far, each part with the conditions that it ran under."""
    write_whole(PATH, found)


def print_row(title: str, row: dict[str, Any]) -> None:
    own, peer = (np.mean(row[library]["log_likelihood"]) for library in ("taut", "zuko"))
    seconds = {library: sum(row[library]["seconds"]) for library in ("taut", "zuko")}
    print(
        f"{title:34} taut {own:8.3f}  zuko {peer:8.3f}  difference {row['difference']:7.3f} "
        f"± {row['error']:.3f}  ({seconds['taut']:.0f} s, {seconds['zuko']:.0f} s)",
        flush=True,
    )


if __name__ == "__main__":
    main()
