"""This tree against an earlier one in one run: whole commands and training steps.

    python benchmarks/earlier.py --tree TREE [--rounds 9]

TREE is a checkout of the earlier commit. Commands are asked in turn, each tree with a compilation cache
of its own that is filled before; what is quoted is the median over rounds of the ratio within a round,
this tree over the earlier one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from record import RESULTS, save_result

HERE = RESULTS.parent.parent
COMMANDS = {
    "fit digits": ("fit", "digits"),
    "em digits": ("em", "digits", "--model", "ppca", "--components", "4"),
    "help": ("--help",),
    "fit --help": ("fit", "--help"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tree", type=Path, required=True, help="a checkout of the earlier commit")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    trees = {"now": HERE, "earlier": options.tree.resolve()}
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            name: _compared(
                {t: _seconds(name, p, scratch) for t, p in trees.items()} for _ in range(n)
            )
            for name, n in dict.fromkeys(COMMANDS, options.rounds + 1).items()
        }
        rows = Path(scratch) / "rows.npy"
        np.save(rows, (np.random.default_rng(0).random((6000, 784)) < 0.2).astype(np.float32))
        found["training step, 784-400-20, batch 128"] = _steps(trees, rows, options.rounds)
    earlier = subprocess.run(
        ["git", "-C", str(options.tree), "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    path = save_result("earlier", {"earlier": earlier.stdout.strip(), "measured": found})
    print(json.dumps(found, indent=2))
    print(path)


def _compared(rounds) -> dict[str, float]:
    """Medians and the ratio, without the first round, which fills caches."""
    kept = list(rounds)[1:]
    ratios = sorted(r["now"] / r["earlier"] for r in kept)
    return {
        "now": round(statistics.median(r["now"] for r in kept), 4),
        "earlier": round(statistics.median(r["earlier"] for r in kept), 4),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_least": round(ratios[0], 3),
        "ratio_most": round(ratios[-1], 3),
        "rounds": len(kept),
    }


def _seconds(name: str, tree: Path, scratch: str) -> float:
    """Of a whole command."""
    cache = Path(scratch) / tree.name
    out = () if "help" in name else ("--out", str(cache / "run"), "--force")
    environment = {**_environment(tree), "XDG_CACHE_HOME": str(cache)}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "taut", *COMMANDS[name], *out],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - began


def _steps(trees: Mapping[str, Path], rows: Path, rounds: int) -> dict[str, float]:
    """Milliseconds a step."""
    served = {
        name: subprocess.Popen(
            [sys.executable, str(tree / "benchmarks/steps/vae_taut.py"), str(rows), "300"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(tree),
        )
        for name, tree in trees.items()
    }  # fmt: skip

    def answer(process: subprocess.Popen) -> dict:
        assert process.stdout is not None
        return next(json.loads(line) for line in process.stdout if line.startswith("{"))

    def asked(process: subprocess.Popen) -> float:
        assert process.stdin is not None
        process.stdin.write("run\n")
        process.stdin.flush()
        return answer(process)["milliseconds_per_step"]

    for process in served.values():
        answer(process)
    found = _compared({n: asked(p) for n, p in served.items()} for _ in range(rounds + 1))
    for process in served.values():
        process.communicate()
    return found


def _environment(tree: Path) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    # Python's default, which a second start reads: modules are kept as byte code.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


if __name__ == "__main__":
    main()
