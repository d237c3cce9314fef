"""Two processes on two cores against one on one core, and what a killed host leaves.

Speed: the same fit (784-1024-1024-32, 1,024 rows a step) by one process on one core, and by two hosts on
one core each, alternated; steps a second are the median over reports after the first two, compilation
left out. Kills: a fit by two hosts, one of which, at random, is killed at a random moment once a
checkpoint is there; what counts is how long the other takes to end, whether it ends by one line, and
whether one host then goes on to the end.

    python benchmarks/hosts.py [--only speed] [--rounds 3] [--kills 50]

What is not asked for stays in the results; each of the two has its commit.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import RESULTS, commit, save_result

ROWS, COLUMNS, BATCH, STEPS = 8192, 784, 1024, 400
SMALL = [
    "--hidden", "16", "--latent-dim", "2", "--epochs", "400", "--patience", "0",
    "--checkpoint-every", "20", "--evidence-particles", "5",
]  # fmt: skip
PARTS = ("speed", "kills")
LIMIT = 60.0  # seconds in which the others must have ended


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument(
        "--host", nargs=3, metavar=("INDEX", "COUNT", "PORT"), help="of a fit: inner use"
    )
    options = parser.parse_args()
    if options.host:
        _fit(*map(int, options.host))
        return
    path = RESULTS / "hosts.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    content = {part: {"commit": known["commit"]} | known[part] for part in PARTS if part in known}
    if options.only != "kills":
        content["speed"] = {"commit": commit(), **_speed(options.rounds)}
    if options.only != "speed":
        with tempfile.TemporaryDirectory() as folder:
            content["kills"] = {"commit": commit(), **_kills(options.kills, Path(folder))}
    print(save_result("hosts", content))


def _speed(rounds: int) -> dict[str, Any]:
    """Steps a second by number of hosts, of each round."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for count in found:
            command, port = [sys.executable, __file__, "--host"], _free_port()
            hosts = [
                subprocess.Popen(
                    [*command, f"{index}", f"{count}", f"{port}"], stdout=subprocess.PIPE, text=True
                )
                for index in range(count)
            ]
            printed = [host.communicate()[0] for host in hosts]
            found[count].append(float(printed[0]))
    ratios = [two / one for one, two in zip(found[1], found[2], strict=True)]
    return {
        "network": [COLUMNS, 1024, 1024, 32],
        "batch": BATCH,
        "steps_per_second": {f"{count} hosts of one core": each for count, each in found.items()},
        "times": statistics.median(ratios),
        "least_times": 1.6,
    }


def _fit(index: int, count: int, port: int) -> None:
    """One host on one core; host 0 prints its steps a second."""
    os.sched_setaffinity(0, {index})  # before JAX counts the cores
    import numpy as np

    import taut

    rates: list[float] = []
    rows = (np.random.default_rng(0).random((ROWS, COLUMNS)) < 0.3).astype(np.float32)
    placed: dict[str, Any] = {}
    if count > 1:
        placed = {"hosts": f"127.0.0.1:{port}", "host_index": index, "host_count": count}
    taut.fit(
        taut.load_data(rows), model=taut.VAE(latent_dim=32, hidden=(1024, 1024)), batch_size=BATCH,
        epochs=STEPS // (ROWS * 8 // 10 // BATCH), patience=0, evidence_particles=2,
        progress=lambda told: rates.append(told.steps_per_second), **placed,
    )  # fmt: skip
    if index == 0:
        print(statistics.median(rates[2:]))


def _kills(count: int, folder: Path) -> dict[str, Any]:
    """What each kill left."""
    chance, seconds, lines, resumed = random.Random(0), [], 0, 0
    for number in range(count):
        run, victim = folder / f"{number}", chance.randrange(2)
        address = f"127.0.0.1:{_free_port()}"
        command = [sys.executable, "-m", "taut", "fit", "digits", "--out", str(run), *SMALL]
        hosts = [
            subprocess.Popen(
                [*command, "--hosts", address, "--host-count", "2", "--host-index", f"{index}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for index in (0, 1)
        ]  # fmt: skip
        while not list((run / "checkpoints").glob("*.safetensors")):
            time.sleep(0.1)
        time.sleep(chance.uniform(0, 3))
        hosts[victim].kill()
        began = time.perf_counter()
        other = hosts[1 - victim]
        _, told = other.communicate(timeout=10 * LIMIT)
        seconds.append(time.perf_counter() - began)
        hosts[victim].communicate()
        lines += told.count("\n") == 1 and told.startswith("taut: hosts:")
        done = subprocess.run(
            [sys.executable, "-m", "taut", "resume", str(run), "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        resumed += done.returncode == 0 and "estimates" in json.loads(done.stdout)
    return {
        "kills": count,
        "ended_by_one_line": lines,
        "seconds_to_end": {"median": statistics.median(seconds), "most": max(seconds)},
        "most_seconds": LIMIT,
        "resumed_on_one_host": resumed,
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


if __name__ == "__main__":
    main()
