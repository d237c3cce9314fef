"""Moments of eleven posteriors by `taut.infer` against the reference draws of posteriordb.

For each posterior and each guide: k-hat and effective sample size of 10,000 weighted draws, the verdict,
and, as medians over the parameters of the reference summary,

    |mean - reference mean| / reference sd        and        |sd / reference sd - 1|

of the resampled draws and of the guide alone. The targets hold for the better of the guides that are
not mean-field: k-hat below 0.7 on at least 8 of 11, there at most 0.1 and 0.15; elsewhere the verdict
says not to believe.

    python benchmarks/posteriordb.py [--only WORD] [--guides mean-field,full-rank] [--seed 0]
                                     [--runs runs/posteriordb]

Every fit's row stays in --runs, so that a benchmark that was cut off goes on where it was. Needs
$TAUT_DATA/posteriordb.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import reference_posteriors
from record import save_result, write_whole
from reference_posteriors import Reference

import taut
from taut.api.inferring import GUIDES

WANTED = ("mean-field", "full-rank", "flow")
KHAT, MEAN, SD, LEAST = 0.7, 0.1, 0.15, 8
DOUBT = "do not believe"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="posteriors whose names contain this word")
    parser.add_argument("--guides", default=",".join(g for g in WANTED if g in GUIDES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/posteriordb"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in reference_posteriors.names(options.only):
        for guide in options.guides.split(","):
            kept = options.runs / f"{name}-{guide}-{options.seed}.json"
            if not kept.exists():
                write_whole(kept, measure(name, guide, options.seed))
            rows.append(json.loads(kept.read_text()))
            print_row(rows[-1])
    summary = judged(rows)
    print("\n".join(f"{what}: {value}" for what, value in summary.items()))
    if options.only is None:
        print(save_result("posteriordb", {"seed": options.seed, "summary": summary, "rows": rows}))


def measure(name: str, guide: str, seed: int) -> dict[str, Any]:
    """One fit against the reference."""
    target = reference_posteriors.read(name)
    began = time.perf_counter()
    fitted = taut.infer(target.program, data=target.data, guide=guide, refine="none", key=seed)
    seconds = time.perf_counter() - began
    values = scalars(fitted, target.reference)
    own = np.where(np.arange(len(values)) < fitted.num_guide, 1 / fitted.num_guide, 0.0)
    return {
        "posterior": name,
        "guide": guide,
        "parameters": len(target.reference.names),
        "khat": fitted.khat,
        "khat_of_guide_alone": fitted.guide_khat,
        "ess": fitted.ess,
        "resampled": discrepancy(values, fitted.weights, target.reference),
        "raw": discrepancy(values, own, target.reference),
        "verdict": fitted.verdict.verdict,
        "said": str(fitted.verdict),
        "kept": fitted.family,
        "notes": fitted.notes,
        "estimates": {n: e.to_dict() for n, e in fitted.estimates.items()},
        "seconds": seconds,
    }


def scalars(fitted: Any, reference: Reference) -> np.ndarray:
    """The reference's scalars at every draw, (K, P), what the program derives included."""

    def named(z: Any) -> Any:
        return fitted.model.constrain(z) | fitted.model.derived(fitted.datum, z)

    with jax.enable_x64(True):
        return reference.of(jax.jit(jax.vmap(named))(fitted.z))


def discrepancy(values: np.ndarray, weights: np.ndarray, reference: Reference) -> dict[str, float]:
    """Medians and maxima over parameters."""
    mean = weights @ values
    sd = np.sqrt(weights @ (values - mean) ** 2)
    of_mean = np.abs(mean - reference.mean) / reference.sd
    of_sd = np.abs(sd / reference.sd - 1)
    return {
        "mean": float(np.median(of_mean)),
        "sd": float(np.median(of_sd)),
        "largest_mean": float(of_mean.max()),
        "largest_sd": float(of_sd.max()),
    }


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The targets, with the guide of the smallest k-hat of each posterior."""
    chosen: dict[str, dict[str, Any]] = {}
    for row in rows:
        best = chosen.get(row["posterior"])
        if row["guide"] != "mean-field" and (best is None or row["khat"] < best["khat"]):
            chosen[row["posterior"]] = row
    good = [r for r in chosen.values() if r["khat"] < KHAT]
    close = [r for r in good if r["resampled"]["mean"] <= MEAN and r["resampled"]["sd"] <= SD]
    far = [
        r for r in rows if r["resampled"]["mean"] > MEAN or r["resampled"]["sd"] > SD
    ]  # of any guide
    return {
        "posteriors": len(chosen),
        "with k-hat below 0.7": len(good),
        "of these with moments within 0.1 and 0.15": len(close),
        "others that the verdict doubts": sum(
            r["verdict"] == DOUBT for r in chosen.values() if r["khat"] >= KHAT
        ),
        "silent failures, mean-field included": sum(r["verdict"] != DOUBT for r in far),
        "met": len(good) >= LEAST
        and len(close) == len(good)
        and all(r["verdict"] == DOUBT for r in far)
        and all(r["verdict"] == DOUBT for r in chosen.values() if r["khat"] >= KHAT),
    }


def print_row(row: dict[str, Any]) -> None:
    resampled, raw = row["resampled"], row["raw"]
    print(
        f"{row['posterior']:40s} {row['guide']:10s} k-hat {row['khat']:5.2f} "
        f"ESS {row['ess']:6.0f}  resampled {resampled['mean']:.3f} {resampled['sd']:.3f}  "
        f"guide {raw['mean']:.3f} {raw['sd']:.3f}  {row['seconds']:5.1f} s  {row['verdict']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
