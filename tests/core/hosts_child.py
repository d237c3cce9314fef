"""One of two hosts that fit together, of which one is lost: started by `test_hosts`."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

import taut
from taut.core.hosts import over_hosts, writes
from taut.inference import EM
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


def main(address: str, index: int, out: Path) -> None:
    loop._SECONDS = 0.0  # a dispatch a step, and progress after each

    def progress(told: Any) -> None:
        if index == 1 and told.step == LOST_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    with over_hosts(address, host_index=index, host_count=2):
        mixture = taut.fit(X, **MIXTURE)
        if writes():
            print(mixture.estimates["log_evidence"].value, flush=True)
        taut.fit(X, out=out, progress=progress, **OPTIONS)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    except taut.TautError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
