"""The encoder's draws, a Gaussian fitted to each row, and the bracket: 200 test rows of each set.

    importance    20,000 draws of the encoder
    refined       1,000 draws of a Gaussian fitted to each row
    bracket       `fit.bracket` with its defaults

For each the evidence of the mean in nats per row, the share of rows that are flagged, and seconds: of
the first call, compilation included, and of a second one, which is what more rows cost.

    TAUT_DATA=FOLDER python benchmarks/refined.py [--sets NAME ...] [--again]

The result is written after each set; what is in it is not repeated without --again.
"""

import argparse
import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from record import RESULTS, save_result

import taut
from taut.evidence import Evidence, Importance
from taut.inference import Refined

NAME = "refined"
ROWS, READ = 200, 2000
SETS = ("digits", "silhouettes", "plants", "dna")
METHODS = {"importance": Importance(20_000), "refined": Refined(1000)}


def source(name: str) -> Any:
    """A data set by name: bundled, or from the folder that TAUT_DATA names."""
    if name == "digits":
        return name
    folder = Path(os.environ["TAUT_DATA"])
    if name == "silhouettes":
        images = scipy.io.loadmat(folder / name / "caltech101_silhouettes_28_split1.mat")[
            "train_data"
        ]
        return 1 - images[:READ].reshape(-1, 28, 28).transpose(0, 2, 1).astype(np.uint8)
    with gzip.open(folder / "debd" / f"{name}.train.data.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",", max_rows=READ).astype(np.uint8)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = call()
    return found, round(time.perf_counter() - start, 2)


def numbers(evidence: Evidence) -> dict[str, Any]:
    """What one method found."""
    return {
        "nats": evidence.log_evidence.value,
        "error": None
        if np.isnan(evidence.log_evidence.mc_error)
        else evidence.log_evidence.mc_error,
        "share_flagged": evidence.share_unreliable,
    }


def measured(name: str) -> dict[str, Any]:
    """All of one set."""
    taut.cache(False)  # first calls compile
    data = taut.load_data(source(name))
    fit, seconds = timed(lambda: taut.fit(data, key=0))
    rows = data.test[:ROWS]
    result: dict[str, Any] = {"rows": len(rows), "fit_seconds": seconds}
    for key, method in METHODS.items():
        found, first = timed(lambda method=method: fit.evaluate(rows, method=method))
        _, again = timed(lambda method=method: fit.evaluate(rows, method=method, key=1))
        result[key] = {**numbers(found), "seconds": [first, again]}
    bracket, first = timed(lambda: fit.bracket(rows))
    again, second = timed(lambda: fit.bracket(rows, key=1))
    result["bracket"] = {
        "method": bracket.method,
        "nats": bracket.lower.value,
        "width": [b.width if np.isfinite(b.width) else None for b in (bracket, again)],
        "stopped": bracket.stopped,
        "seconds": [first, second],
    }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    path = RESULTS / f"{NAME}.json"
    known = json.loads(path.read_text()).get("sets", {}) if path.exists() else {}
    for name in options.sets:
        if name in known and not options.again:
            continue
        known[name] = measured(name)
        save_result(NAME, {"sets": known})
        print(name, json.dumps(known[name]), flush=True)


if __name__ == "__main__":
    main()
