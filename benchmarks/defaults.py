"""Defaults that must not lose, at equal steps on real rows.

    guides      every richer guide less mean-field
    discrete    bits with their own gradient less a VAE and less latent classes
    counts      a VAE of counts less independent columns

Held-out nats per row, differences row by row with their standard error, three keys each; at most 1,500
rows of each set, so that a fit takes seconds. Guides and counts: the ELBO. Bits: the log-evidence, which
latent classes have exactly and the others by importance sampling, a lower bound; each fit ends as its
defaults end it, since bits take longer.

    TAUT_DATA=FOLDER python benchmarks/defaults.py [--only PART ...] [--sets NAME ...] [--epochs N]

The result is written after each fit; what is in it is not repeated.
"""

import argparse
import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, commit, save_result

import taut

NAME = "defaults"
ROWS, KEYS = 1500, (0, 1, 2)
GUIDES = (
    "full-rank", "low-rank:4", "planar:8", "radial:8", "sylvester:4", "iaf:2", "affine-coupling:4",
    "spline-coupling:4",
)  # fmt: skip
TABLES = ("plants", "jester", "dna")
SETS = (*TABLES, "wine-quality-red", "freyfaces", "digits")


def rows(name: str) -> Any:
    """A data set by name: bundled, or from the folder that TAUT_DATA names."""
    if name == "digits":
        return name
    folder = Path(os.environ["TAUT_DATA"])
    if name in TABLES:
        with gzip.open(folder / "debd" / f"{name}.train.data.gz", "rt") as file:
            return np.loadtxt(file, delimiter=",", max_rows=ROWS).astype(np.uint8)
    if name == "freyfaces":
        with np.load(folder / "freyfaces" / "freyfaces.npz") as file:
            return file[file.files[0]][:ROWS]
    with gzip.open(folder / "uci" / f"{name}.txt.gz", "rt") as file:
        return np.loadtxt(file)[:ROWS]


def counts(key: int) -> np.ndarray:
    """Counts of 1,000 whose columns move together by 5 %."""
    rng = np.random.default_rng(key)
    return rng.poisson(1000 * np.exp(0.05 * rng.normal(size=(300, 1)) * np.ones((1, 6))))


def found() -> dict[str, Any]:
    """What the result holds already."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text()).get("differences", {}) if path.exists() else {}


def record(part: str, key: int, first: np.ndarray, second: np.ndarray, **more: Any) -> None:
    """Write a difference, row by row, with its standard error."""
    difference = first - second
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    entry = {"nats": float(difference.mean()), "error": error, "commit": commit(), **more}
    save_result(NAME, {"differences": found() | {f"{part} {key}": entry}})
    print(f"{part} key {key}: {entry['nats']:+.3f} ± {error:.3f}", flush=True)


def elbo(x: Any, key: int, epochs: int, **choices: Any) -> tuple[Any, np.ndarray]:
    fit = taut.fit(x, epochs=epochs, patience=10**6, evidence_particles=100, key=key, **choices)
    return fit, np.asarray(fit.estimates["elbo"].values)


def guides(name: str, key: int, epochs: int) -> None:
    missing = [g for g in GUIDES if f"{name}: {g} less mean-field {key}" not in found()]
    if not missing:
        return
    _, plain = elbo(rows(name), key, epochs, model=taut.VAE())
    for guide in missing:
        fit, richer = elbo(rows(name), key, epochs, model=taut.VAE(guide=guide))
        train = float(np.mean([step["bound"] for step in fit.history[-100:]]))
        record(f"{name}: {guide} less mean-field", key, richer, plain, training_bound=train)


def discrete(name: str, key: int) -> None:
    parts = [f"{name}: evidence of bits less {other}" for other in ("vae", "latent classes")]
    if all(f"{part} {key}" in found() for part in parts):
        return
    x = rows(name)
    bits, plain = (taut.fit(x, model=model, key=key) for model in (taut.Discrete(), taut.VAE()))
    classes = taut.em(x, model="lca", components=10, key=key)
    held = [np.asarray(f.estimates["log_evidence"].values) for f in (bits, plain, classes)]
    for part, other in zip(parts, held[1:], strict=True):
        record(part, key, held[0], other)


def alone(key: int, epochs: int) -> None:
    if f"counts of 1,000: vae less columns alone {key}" in found():
        return
    fit, bound = elbo(counts(key), key, epochs)
    columns = np.asarray(fit.estimates["independent_columns"].values)
    record("counts of 1,000: vae less columns alone", key, bound, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = ("counts", "guides", "discrete")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    for key in KEYS:
        if "counts" in options.only:
            alone(key, 4 * options.epochs)
        for name in options.sets:
            if "guides" in options.only:
                guides(name, key, options.epochs)
            if "discrete" in options.only and name in TABLES:
                discrete(name, key)


if __name__ == "__main__":
    main()
