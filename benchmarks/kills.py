"""Runs that are killed again and again, at random moments, against one that was never stopped.

Each seed starts `taut fit digits`, sends SIGKILL after a random number of further steps and a random
moment, resumes, kills again, and so on; one kill in four comes at a random time instead, so that
loading, compiling and evaluating are hit as well. Then the run is left to end. What counts: the bytes
of model.safetensors, rows.safetensors and metrics.jsonl, and how many steps were computed twice.

    python benchmarks/kills.py [--seeds 20] [--kills 3]
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import save_result

EVERY = 500
EPOCHS = 600
STEPS = EPOCHS * 11  # 1437 training rows, 128 a step
OPTIONS = (
    f"--hidden 32 --latent-dim 4 --epochs {EPOCHS} --patience 0 --ema 0.99 "
    f"--learning-rate-schedule cosine --evidence-particles 10 --checkpoint-every {EVERY} --json"
).split()
COMMAND = [sys.executable, "-m", "taut"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        start = time.perf_counter()
        _finish(["fit", "digits", "--out", str(whole), *OPTIONS])
        seconds = time.perf_counter() - start
        runs = [
            _killed(seed, options.kills, seconds, whole, Path(folder) / f"killed-{seed}")
            for seed in range(options.seeds)
        ]
    path = save_result(
        "kills",
        {
            "runs": len(runs),
            "kills": sum(run["kills"] for run in runs),
            "kills_while_training": sum(run["kills_while_training"] for run in runs),
            "identical": sum(run["identical"] for run in runs),
            "most_steps_computed_twice": max(run["most_twice"] for run in runs),
            "checkpoint_every": EVERY,
        },
    )
    print(path.read_text())


def _killed(seed: int, kills: int, seconds: float, whole: Path, run: Path) -> dict:
    generator = random.Random(seed)
    done, training, most_twice = 0, 0, 0
    while done < kills:
        words = ["resume", str(run), "--json"]
        if not run.exists():
            words = ["fit", "digits", "--out", str(run), *OPTIONS]
        process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL)
        if generator.random() < 0.25:
            time.sleep(generator.uniform(0, seconds))
        else:
            wanted = generator.uniform(_lines(run), STEPS)
            while process.poll() is None and _lines(run) < wanted:
                time.sleep(0.002)
            time.sleep(generator.uniform(0, 0.05))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        done += 1
        lines = _lines(run)
        saved = [int(p.stem.split("-")[1]) for p in (run / "checkpoints").glob("step-*")]
        training += lines > 0 and not (run / "summary.json").exists()
        most_twice = max(most_twice, lines - max(saved, default=0))
    if not (run / "summary.json").exists():
        _finish(["resume", str(run), "--json"] if run.exists() else [
            "fit", "digits", "--out", str(run), *OPTIONS,
        ])  # fmt: skip
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    same = all(
        (run / name).read_bytes() == (whole / name).read_bytes()
        for name in ("model.safetensors", "rows.safetensors", "metrics.jsonl")
    )
    return {
        "kills": done,
        "kills_while_training": training,
        "identical": same and steps == list(range(len(steps))),
        "most_twice": most_twice,
    }


def _lines(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def _finish(words: list[str]) -> None:
    subprocess.run([*COMMAND, *words], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
