"""One of two hosts that evaluate and fit together, of which one is lost: started by `test_hosts`."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import taut
from taut.cli.evaluate import evaluate
from taut.core.hosts import over_hosts, writes
from taut.core.kept_rows import clock, keeping, kept_rows
from taut.inference import EM
from taut.runs import KeptByFirst, KeptRows
from taut.training import loop

# Two hosts do not divide a batch of 31 rows.
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(80, 4)) @ GENERATOR.normal(size=(4, 4))
OPTIONS: dict[str, Any] = {
    "batch_size": 31, "epochs": 6, "patience": 0, "latent_dim": 1, "hidden": (4,), "validate_every": 6,
    "checkpoint_every": 4, "evidence_particles": 5, "precision": "float64", "key": 2,
}  # fmt: skip
MIXTURE: dict[str, Any] = {
    "inference": EM(restarts=1, max_iterations=4),
    "model": taut.GMM(components=2),
}
LOST_AT = 9
SQUARES = np.arange(10.0) ** 2 / 3  # which float32 does not hold


def keeper(folder: Path) -> KeptRows:
    return KeptRows(folder / "kept", of="evaluate", fingerprint="a")


def goes_on(folder: Path) -> dict[str, Any]:
    """Rows of which host 0 kept the first four: where this host begins, and all of them."""
    first = []

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        first.append(begin)
        yield {"squares": SQUARES[begin:]}

    with keeping(KeptByFirst(keeper(folder) if writes() else None)):
        squares = kept_rows(blocks, len(SQUARES))["squares"]
    return {"begins": first, "squares": squares.tolist()}


def main(address: str, index: int, folder: Path) -> None:
    loop._SECONDS = 0.0  # a dispatch a step, and progress after each

    def progress(told: Any) -> None:
        if index == 1 and told.step == LOST_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    with over_hosts(address, host_index=index, host_count=2):
        mixture = taut.fit(X, **MIXTURE)
        told = {"mixture": mixture.estimates["log_evidence"].value, "clock": clock()}
        (folder / f"told-{index}.json").write_text(json.dumps(told | goes_on(folder)))
        evaluate(folder / "whole", method="importance", num_particles=5, json=True)
        sys.stdout.flush()
        taut.fit(X, out=folder / "run", progress=progress, **OPTIONS)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    except taut.TautError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
