"""Counts of single cells: held-out log-likelihood and cells per second, beside scvi-tools.

    TAUT_DATA=FOLDER python benchmarks/single_cell.py [--epochs 100] [--genes N] [--particles 100]
                                                     [--draws 3] [--try]

pbmc3k, the genes that three cells or more show (or the N that most do), 10 latents, one hidden layer of
128 units on either side, a negative binomial given each cell's total with one dispersion a gene, batches
of 128, Adam at 0.001, no warm-up of the KL. Log-likelihoods are by importance sampling from each
encoder, nats per cell held out, of the same cells with as many draws. scvi-tools trains without dropout
and batch normalisation, as taut does, and with both, as it does by default. The last batch of its epochs
is smaller; taut takes as many steps, or up to an epoch fewer. Each has one process after the other;
seconds are of training, compilation included.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse
from peers import python_of_peers
from record import save_result, write_whole

import taut
from taut.data import load_data

PINS = ("torch==2.13.0", "scvi-tools==1.4.2")
LATENTS, HIDDEN, BATCH, RATE = 10, 128, 128, 1e-3
PEERS = {
    "scvi-tools": {"dropout_rate": 0.0, "use_batch_norm": "none"},
    "scvi-tools, its defaults": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100, help="of scvi-tools")
    parser.add_argument("--genes", type=int)
    parser.add_argument("--particles", type=int, default=100)
    parser.add_argument("--draws", type=int, default=3, help="of the seed")
    parser.add_argument("--try", dest="small", action="store_true")
    asked = parser.parse_args()
    counts = genes_of(asked.genes)
    data = load_data(counts)
    steps = math.ceil(len(data.train) / BATCH) * asked.epochs
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(asked.draws):
        runs = {"taut": by_taut(counts, steps, seed, asked.particles)}
        for name, own in PEERS.items():
            runs[name] = by_peer(counts, data, asked.epochs, seed, asked.particles, own)
        for name, (values, seconds, taken) in runs.items():
            row = {
                "log_evidence": float(values.mean()),
                "rows_error": float(values.std() / math.sqrt(len(values))),
                "less_than_taut": float((runs["taut"][0] - values).mean()),
                "paired_error": float((runs["taut"][0] - values).std() / math.sqrt(len(values))),
                "seconds": seconds,
                "steps": taken,
                "cells_per_second": taken * BATCH / seconds,
            }
            found.setdefault(name, []).append(row)
            print(seed, name, json.dumps(row), flush=True)
    asked_of = {"epochs": asked.epochs, "particles": asked.particles, "seeds": asked.draws}
    settings = asked_of | {"cells": counts.shape[0], "genes": counts.shape[1], "pins": PINS}
    save_result(f"single_cell{'_try' * asked.small}", {"settings": settings, "runs": found})


def genes_of(most: int | None) -> scipy.sparse.csr_array:
    """Counts of the genes that are looked at."""
    folder = Path(os.environ["TAUT_DATA"]) / "pbmc3k"
    counts = scipy.sparse.load_npz(folder / "pbmc3k_counts_cells_x_genes_csr.npz").tocsc()
    cells = np.diff(counts.indptr)
    kept = np.flatnonzero(cells >= 3) if most is None else np.sort(np.argsort(-cells)[:most])
    return scipy.sparse.csr_array(counts[:, kept])


def by_taut(
    counts: scipy.sparse.csr_array, steps: int, seed: int, particles: int
) -> tuple[np.ndarray, float, int]:
    """Log-likelihood of each row held out, seconds of training, steps."""
    model = taut.VAE(latent_dim=LATENTS, hidden=(HIDDEN,))
    epochs = max(1, steps // (len(load_data(counts).train) // BATCH))
    fit = taut.fit(
        counts, model=model, epochs=epochs, batch_size=BATCH, learning_rate=RATE, patience=0,
        evidence_particles=particles, key=seed,
    )  # fmt: skip
    assert fit.architecture.likelihood_options["library"]
    evidence = fit.evaluate(load_data(counts).test, num_particles=particles, key=seed)
    values = np.asarray(evidence.log_evidence.values)
    return values, fit.facts.training_seconds, fit.facts.steps


def by_peer(
    counts: scipy.sparse.csr_array, data: taut.data.Data, epochs: int, seed: int, particles: int,
    own: dict[str, object],
) -> tuple[np.ndarray, float, int]:  # fmt: skip
    """The same of scvi-tools."""
    settings = {
        "seed": seed, "epochs": epochs, "particles": particles, "latent_dim": LATENTS,
        "hidden": HIDDEN, "batch_size": BATCH, "learning_rate": RATE, "own": own,
    }  # fmt: skip
    python = python_of_peers("scvi", PINS)
    with tempfile.TemporaryDirectory() as folder:
        rows, asked, found = (Path(folder) / n for n in ("rows.npz", "asked.json", "found.npz"))
        train, test = (part.numbers(np.arange(len(part))) for part in (data.train, data.test))
        np.savez(
            rows, data=counts.data, indices=counts.indices, indptr=counts.indptr,
            shape=counts.shape, train=train, test=test,
        )  # fmt: skip
        write_whole(asked, settings)
        peer = Path(__file__).with_name("single_cell_peer.py")
        subprocess.run([python, peer, rows, asked, found], check=True, capture_output=True)
        with np.load(found) as held:
            return held["log_evidence"], float(held["seconds"]), int(held["steps"])


if __name__ == "__main__":
    main()
