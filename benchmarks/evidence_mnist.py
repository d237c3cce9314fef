"""Evidence methods on a VAE of statically binarized MNIST: do they agree, and how wide is the bracket?

The model is that of `audit_mnist.py` (50 latents), the rows are the first of the test set. Each method
gives the mean log-evidence of the same rows; beside annealing from a Gaussian fitted to each row stand
the differences of the others, paired by row. A method agrees where its difference is within 1.96 of the
errors of both. Where a set is flagged, as more than a twentieth of its rows are unreliable, its error is
not known and nothing is said of its agreement: it is a lower bound in expectation still. Seconds are by
the clock, whatever else runs.

The bracket of simulated rows has a bound in expectation on either side: rows are made by the model, with
the latents that made them (`taut.evidence.known_latents`, `taut.evidence.sandwich`). Its width is from
mean to mean of both ends and 1.96 errors over draws more.

Target: at most 0.5 nats on simulated rows.

    TAUT_DATA=FOLDER python benchmarks/evidence_mnist.py [--epochs 60] [--rows 100] [--runs FOLDER]

What a method found stays in the run folder, so that a benchmark that was cut off goes on where it was.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from audit_mnist import trained
from record import save_result, write_whole
from static_mnist import MODEL, split

from taut.core import Datum
from taut.evidence import SMC, Annealed, Evidence, Importance, simulated
from taut.inference import Refined, RefinedAnnealed

TARGET = 0.5  # nats
NORMAL = 1.96
BESIDE = "refined and annealed, 20 temperatures"
METHODS: dict[str, Any] = {
    "importance, 5000 draws": Importance(5000),
    "refined, 1000 draws": Refined(1000),
    "annealed, 20 temperatures": Annealed(),
    "annealed, 80 temperatures": Annealed(temperatures=80),
    "smc, 20 temperatures": SMC(),
    "smc, 80 temperatures": SMC(temperatures=80),
    "refined and annealed, 20 temperatures": RefinedAnnealed(),
}
BRACKETS = (
    "importance, 5000 draws", "refined, 1000 draws", "annealed, 80 temperatures",
    "refined and annealed, 20 temperatures",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    parts = split()
    fitted = trained(parts, epochs=options.epochs, runs=options.runs)
    pair, rows = fitted.pair, Datum(parts[2][: options.rows].astype(np.float32))
    made = simulated(pair.bind()[0], rows, options.rows, key=jax.random.key(1))
    parts_kept = options.runs / f"evidence-mnist-{options.epochs}-{options.rows}"
    parts_kept.mkdir(parents=True, exist_ok=True)

    def real(name: str) -> dict[str, Any]:
        return one_end(METHODS[name](pair, rows, key=jax.random.key(2)))

    def known(name: str) -> dict[str, Any]:
        return both_ends(METHODS[name].both_ends(pair, made, key=jax.random.key(3)))

    found = {
        name: kept(parts_kept / f"{name}.json", lambda name=name: real(name)) for name in METHODS
    }
    brackets = {
        name: kept(parts_kept / f"{name}, bracket.json", lambda name=name: known(name))
        for name in BRACKETS
    }
    content = {
        "model": MODEL | {"epochs": options.epochs},
        "rows": options.rows,
        "methods": {
            name: {key: value for key, value in each.items() if key not in ("values", "errors")}
            for name, each in found.items()
        },
        f"less {BESIDE}": {
            name: difference(each, found[BESIDE]) for name, each in found.items() if name != BESIDE
        },
        "brackets_of_simulated_rows": brackets,
        "narrowest_of_simulated_rows": min(each["width"] for each in brackets.values()),
        "target": TARGET,
    }
    print(save_result("evidence_mnist", content))


def kept(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found before, or is found now, with the seconds that it took."""
    if not path.exists():
        started = time.perf_counter()
        content = measure()
        content["seconds"] = time.perf_counter() - started
        write_whole(path, content)
    content = json.loads(path.read_text())
    told = {name: value for name, value in content.items() if not isinstance(value, list)}
    print(path.stem, json.dumps(told), flush=True)
    return content


def one_end(evidence: Evidence) -> dict[str, Any]:
    estimate = evidence.log_evidence
    assert estimate.values is not None
    assert evidence.errors is not None
    return {
        "log_evidence": estimate.value,
        "mc_error": number(estimate.mc_error),
        "data_error": number(estimate.data_error),
        "share_unreliable": evidence.share_unreliable,
        "flags": ", ".join(sorted(estimate.flags)),
        "acceptance": None if evidence.acceptance is None else float(evidence.acceptance.mean()),
        "values": estimate.values.tolist(),
        "errors": [number(error) for error in evidence.errors],
    }


def both_ends(evidence: Evidence) -> dict[str, Any]:
    low, high = evidence.log_evidence, evidence.upper
    assert high is not None
    assert evidence.errors is not None
    widths = np.subtract(high.values, low.values)
    noise = math.hypot(float(np.linalg.norm(evidence.errors)) / len(widths), high.mc_error)
    return {
        "lower": low.value,
        "upper": high.value,
        "width": high.value - low.value + NORMAL * noise,
        "widest_row": float(widths.max()),
        "share_unreliable": evidence.share_unreliable,
    }


def difference(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The paired difference of two methods, its error over draws, and whether they agree."""
    off = np.subtract(first["values"], second["values"])
    errors = [each["mc_error"] for each in (first, second)]
    known = None if None in errors else math.hypot(*errors)
    return {
        "value": float(off.mean()),
        "error": known,
        "agree": None if known is None else bool(abs(off.mean()) <= NORMAL * known),
        "largest_of_a_row": float(np.abs(off).max()),
    }


def number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


if __name__ == "__main__":
    main()
