"""Test log-likelihood of latent-variable models on binary tables, by importance sampling.

nltcs, plants, jester and dna of the debd collection, each with its own training, validation and test
file. Decoders factorize over columns. Candidates: bits or Gaussians as latents, trained with the
ten-particle IWAE bound (VIMCO, DReG) by AdamW on a cosine schedule, stopped early on the 50-particle
bound of the validation rows. The candidate with the best validation value is the one that is measured
on the test rows, with 5000 draws a row, and k-hat tells on how many rows to distrust them.

    TAUT_DATA=FOLDER python benchmarks/binary_tables.py [--only TABLE ...] [--candidate NAME ...]
                                                        [--steps N] [--particles K]

A candidate that is in the result is not repeated; the result is written after each.
"""

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import optax
from record import RESULTS, commit, save_result

import taut
from taut.bounds import IWAE
from taut.gradients import VIMCO, DoublyReparameterized

FLOORS = {"nltcs": -6.05, "plants": -13.5, "jester": -53.5, "dna": -95.0}
BITS = {"nltcs": 20, "plants": 100, "jester": 100, "dna": 128}
BATCH = 100
NAME = "binary_tables"
RUNS = Path("runs")  # ignored by git


def candidates(table: str) -> dict[str, dict[str, Any]]:
    """What is tried on a table, by name."""
    bits = f"bernoulli:{BITS[table]}"
    return {
        "bits": {
            "model": taut.Discrete(latents=bits, hidden=()), "gradient": VIMCO(),
            "rate": 3e-3, "decay": 0.0,
        },
        "bits-nonlinear": {
            "model": taut.Discrete(latents=bits, hidden=(100,)), "gradient": VIMCO(),
            "rate": 3e-3, "decay": 1e-2,
        },
        "gaussian": {
            "model": taut.VAE(latent_dim=min(16, BITS[table] // 2), hidden=(100,)),
            "gradient": DoublyReparameterized(), "rate": 3e-3, "decay": 1e-2,
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FLOORS, default=list(FLOORS))
    parser.add_argument("--candidate", nargs="+", default=None)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--particles", type=int, default=5000)
    options = parser.parse_args()
    for table in options.only:
        parts = rows(table)
        for name, choices in candidates(table).items():
            if options.candidate is not None and name not in options.candidate:
                continue
            if name not in found(table)["candidates"]:
                outcome = train(parts, table, name, choices, options.steps)
                record(table, candidates=found(table)["candidates"] | {name: outcome})
        tried = found(table)["candidates"]
        best = max(tried, key=lambda name: tried[name]["validation"])
        if found(table).get("chosen") != best:
            record(table, chosen=best, **measured(parts, table, best, options.particles))
        show(table)


def rows(table: str) -> tuple[np.ndarray, ...]:
    """Training, validation and test rows, 0 or 1."""
    folder = os.environ.get("TAUT_DATA")
    if folder is None:
        raise SystemExit(
            "TAUT_DATA must name a folder with debd/{table}.{train,valid,test}.data.gz"
        )
    parts = []
    for part in ("train", "valid", "test"):
        with gzip.open(Path(folder) / "debd" / f"{table}.{part}.data.gz", "rt") as file:
            parts.append(np.loadtxt(file, delimiter=","))
    return tuple(parts)


def train(
    parts: tuple[np.ndarray, ...], table: str, name: str, choices: dict[str, Any], steps: int
) -> dict[str, Any]:
    """Fit a candidate and keep it as a run; only its validation value is looked at."""
    began = time.perf_counter()
    per_epoch = len(parts[0]) // BATCH
    schedule = optax.cosine_decay_schedule(choices["rate"], steps)
    fitted = taut.fit(
        parts,
        model=choices["model"],
        gradient=choices["gradient"],
        bound=IWAE(num_particles=10),
        optimizer=optax.adamw(schedule, weight_decay=choices["decay"]),
        epochs=max(1, steps // per_epoch),
        batch_size=BATCH,
        validation_bound=IWAE(num_particles=50),
        validate_every=steps // 40,
        patience=10,
        num_particles=2,  # nothing is read of the test rows here
        key=0,
        out=RUNS / f"{NAME}-{table}-{name}",
        force=True,
    )
    values = [h["validation"]["value"] for h in fitted.history if "validation" in h]
    return {
        "validation": max(values),
        "rate": choices["rate"],
        "decay": choices["decay"],
        "steps": len(fitted.history),
        "seconds": round(time.perf_counter() - began, 1),
        "model": choices["model"].to_dict(),
        "commit": commit(),
    }


def measured(
    parts: tuple[np.ndarray, ...], table: str, name: str, particles: int
) -> dict[str, Any]:
    """The test log-likelihood of one run."""
    evidence = taut.load(RUNS / f"{NAME}-{table}-{name}").evaluate(
        parts[2], num_particles=particles, key=1
    )
    value = evidence.log_evidence
    return {
        "test_log_likelihood": value.value,
        "mc_error": value.mc_error,
        "data_error": value.data_error,
        "flags": list(value.flags),
        "particles": particles,
        "khat_threshold": evidence.khat_threshold,
        "khat_above_threshold": float(np.mean(evidence.khat > evidence.khat_threshold)),
        "khat_median": float(np.median(evidence.khat)),
        "elbo": evidence.elbo.value,
    }


def found(table: str) -> dict[str, Any]:
    """What is known of a table so far."""
    return _tables().get(table, {"candidates": {}})


def record(table: str, **new: Any) -> None:
    """Add to what is known of a table."""
    known = found(table) | {"asked": FLOORS[table]} | new
    save_result(NAME, {"tables": _tables() | {table: known}})


def show(table: str) -> None:
    known = found(table)
    print(
        f"{table:8} {known['chosen']:16} {known['test_log_likelihood']:.3f} "
        f"± {known['data_error']:.3f} (asked {FLOORS[table]}), k-hat above "
        f"{known['khat_threshold']:.2f} on {known['khat_above_threshold']:.1%} of rows",
        flush=True,
    )


def _tables() -> dict[str, Any]:
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["tables"] if path.exists() else {}


if __name__ == "__main__":
    main()
