"""What evidence of statically binarized MNIST costs: importance sampling, annealing, and a peer.

The model is that of `audit_mnist.py` (50 latents), the rows are the first of the test set.

    1. The mean log-evidence of all rows, to a standard error over draws of at most 0.1 nats: importance
       sampling from a Gaussian fitted to each row; annealing from there, which ends without a flag; and
       importance sampling from the encoder, with so many draws that it takes more than five times as
       long as annealing. How far below it still is, is paired by row.
    2. Annealed importance sampling against a plain loop over images in PyTorch with the same chains,
       temperatures and leapfrog steps, both warm, in turn: seconds an image. Beside them the matrix
       products of the decoder alone.

Targets: five times as fast as importance sampling needs; ten times as fast as the loop; products at
least half of the time.

    TAUT_DATA=FOLDER python benchmarks/evidence_speed.py [--rows 1000] [--rounds 3] [--epochs 60]
                                                         [--runs FOLDER] [--only precision|annealing]

With `--only` the other part stays in the JSON as it was, each with the commit that measured it.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from alternate import Method, alternated, median_ratio
from audit_mnist import trained
from peers import python_of_peers
from record import RESULTS, commit, save_result
from static_mnist import split

import taut
from taut.core import Datum
from taut.evidence import Evidence, Importance
from taut.inference import Refined, RefinedAnnealed

PRECISION, LONGER, LOOP, PRODUCTS = 0.1, 5.0, 10.0, 0.5
FIRST_DRAWS, CHAINS, TEMPERATURES, LEAPFROG = 5000, (16, 200), 20, 3
PARTS = ("precision", "annealing")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    parts = split()
    fitted = trained(parts, epochs=options.epochs, runs=options.runs)
    rows = Datum(parts[2][: options.rows].astype(np.float32), index=np.arange(options.rows))
    kept = RESULTS / "evidence_speed.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    content = {part: found[part] for part in PARTS if part in found}
    if options.only != "annealing":
        content["precision"] = {"commit": commit(), **precision(fitted, rows)}
    if options.only != "precision":
        run = options.runs / f"audit-mnist-{options.epochs}"
        content["annealing"] = {"commit": commit(), **annealing(fitted, rows, run, options.rounds)}
    print(save_result("evidence_speed", content))


def precision(fitted: taut.Fit, rows: Datum) -> dict[str, Any]:
    """Seconds of each way to the mean of all rows; compilation, on a few of them, apart."""
    methods = {}
    for name, method in {"refined": Refined(), "refined-annealed": RefinedAnnealed()}.items():
        best, compiled, seconds = measured(fitted, rows, method)
        methods[name] = told(best) | {"compilation": compiled, "seconds": seconds}
    draws, spent = FIRST_DRAWS, 0.0
    while spent < LONGER * seconds:
        if spent:
            draws = math.ceil(1.1 * draws * LONGER * seconds / spent)
        plain, compiled, spent = measured(fitted, rows, Importance(draws))
        methods[f"importance, {draws} draws"] = {
            **told(plain), "compilation": compiled, "seconds": spent, "below": below(plain, best),
        }  # fmt: skip
        print(json.dumps(methods), flush=True)
    return {
        "rows": len(rows.x),
        "methods": methods,
        "target": {"error": PRECISION, "times": LONGER},
        "times_the_seconds": spent / seconds,
        "importance_sampling_is_still_below_by": below(plain, best)["value"],
    }


def measured(fitted: taut.Fit, rows: Datum, method: Any) -> tuple[Evidence, float, float]:
    """The evidence, the seconds of a first call, which compiles, less those of a second, and of all."""
    few = jax.tree.map(lambda leaf: leaf[:32], rows)
    first, again = (timed(fitted, few, method)[1] for _ in range(2))
    evidence, seconds = timed(fitted, rows, method)
    return evidence, first - again, seconds


def timed(fitted: taut.Fit, rows: Datum, method: Any) -> tuple[Evidence, float]:
    began = time.perf_counter()
    evidence = method(fitted.pair, rows, key=jax.random.key(0))
    return evidence, time.perf_counter() - began


def told(evidence: Evidence) -> dict[str, Any]:
    estimate = evidence.log_evidence
    assert evidence.errors is not None
    return {
        "log_evidence": estimate.value,
        "mc_error": estimate.mc_error if math.isfinite(estimate.mc_error) else None,
        "mc_error_as_if_no_row_were_flagged": float(np.linalg.norm(evidence.errors))
        / len(evidence.errors),
        "share_unreliable": evidence.share_unreliable,
        "flags": sorted(estimate.flags),
    }


def below(plain: Evidence, better: Evidence) -> dict[str, float]:
    """How far one is below the other, paired by row, nats."""
    apart = np.subtract(better.log_evidence.values, plain.log_evidence.values)
    return {"value": float(apart.mean()), "error": float(apart.std(ddof=1) / math.sqrt(len(apart)))}


def annealing(fitted: taut.Fit, rows: Datum, run: Path, rounds: int) -> dict[str, Any]:
    """Seconds an image of taut, of the loop in PyTorch and of the products alone, in turn."""
    found: dict[str, Any] = {"temperatures": TEMPERATURES, "leapfrog": LEAPFROG}
    peers = python_of_peers()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "task.npz"
        np.savez(file, **task(fitted, jax.tree.map(lambda leaf: leaf[:128], rows)))
        for chains in CHAINS:
            given = (chains, TEMPERATURES, LEAPFROG)
            methods = {
                "taut": Method(sys.executable, "ais_taut.py", file, 64, *given, run.resolve()),
                "PyTorch": Method(peers, "ais_pytorch.py", file, 4, *given),
                "products": Method(sys.executable, "ais_products.py", file, 64, *given),
            }
            times = alternated(methods, rounds)
            for method in methods.values():
                method.close()
            found[f"{chains} chains"] = {
                "milliseconds_an_image": times,
                "speed_over_pytorch": median_ratio(times, "PyTorch", "taut"),
                "products_over_taut": median_ratio(times, "products", "taut"),
                "versions": {name: method.versions for name, method in methods.items()},
            }
            print(chains, json.dumps(found[f"{chains} chains"]), flush=True)
    return found | {"target": {"speed_over_pytorch": LOOP, "products_over_taut": PRODUCTS}}


def task(fitted: taut.Fit, rows: Datum) -> dict[str, np.ndarray]:
    """Rows, their guide and the decoder as arrays."""
    model, guide = fitted.pair.bind()
    loc, variance = jax.vmap(lambda datum: (guide(datum).mean, guide(datum).variance))(rows)
    layers = model.decoder.layers
    flat = np.asarray(rows.x).reshape(len(rows.x), -1)
    return {
        "x": flat, "loc": np.asarray(loc), "sd": np.sqrt(variance),
        **{f"weight{i}": np.asarray(layer.weight) for i, layer in enumerate(layers)},
        **{f"bias{i}": np.asarray(layer.bias) for i, layer in enumerate(layers)},
    }  # fmt: skip


if __name__ == "__main__":
    main()
