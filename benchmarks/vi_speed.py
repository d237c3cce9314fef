"""Seconds until the ELBO is within 0.1 nat of the best, against NumPyro's SVI and PyMC's ADVI.

Every run is a process of its own: float64, empty compilation caches, compilation included; importing the
libraries is reported apart and left out for all. Peers take Adam steps for a fixed time with each of a
small grid of step sizes, and the best step size of each posterior counts, its search free of charge;
taut chooses its own steps and stops by itself. Guides are recorded on the way and their bounds estimated
afterwards on the same draws by NumPyro's potential (`vi_peers/bound.py`). The best bound is that of all
methods' guides in the same family, with a run of taut to a hundredth of a nat among them, which is not
timed. A peer that never comes within 0.1 nat is charged with the time that it was given, which
understates it. Rounds repeat all runs, alternated.

Steps per second: a step is one value and gradient of the bound at the same number of draws for both, in
one compiled loop of each, the best of several loops.

    python benchmarks/vi_speed.py [--rounds 1] [--only WORD] [--seconds 3] [--family full-rank]
                                  [--runs runs/vi_speed]

Every worker's output stays in --runs, so that a benchmark that was cut off goes on where it was; remove
the folder to measure again. PyMC is installed beside, under $TAUT_PEERS or ~/.cache/taut-peers, when it
is not there yet.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import reference_posteriors
from record import save_result

WORKERS = Path(__file__).resolve().parent / "vi_peers"
FAMILIES = ("mean-field", "full-rank")
STEP_SIZES = "0.003,0.01,0.05"
WITHIN = 0.1  # nats
PYMC = "pymc==5.28.5"
LONG = "0.01"  # nats, of the run that is not timed
_COARSE = 512  # draws that decide which checkpoints are worth all draws


class Method(NamedTuple):
    """A method and how its worker is called.

    Attributes:
        worker: script.
        particles: draws a step; None for taut.
    """

    worker: str
    particles: int | None


METHODS = {
    "taut": Method("taut_infer.py", None),
    "NumPyro, 1 draw": Method("numpyro_svi.py", 1),
    "NumPyro, 10 draws": Method("numpyro_svi.py", 10),
    "PyMC, 1 draw": Method("pymc_advi.py", 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", help="posteriors whose names contain this word")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each peer's stepping")
    parser.add_argument("--family", choices=FAMILIES, help="one family of guides only")
    parser.add_argument("--runs", type=Path, default=Path("runs/vi_speed"))
    options = parser.parse_args()
    peer_python = install_pymc()
    rows = []
    for name in reference_posteriors.names(options.only):
        for family in (options.family,) if options.family else FAMILIES:
            folder = options.runs.resolve() / name / family
            folder.mkdir(parents=True, exist_ok=True)
            rows.append(compare(name, family, options.rounds, options.seconds, peer_python, folder))
            print_row(rows[-1])
    summary = {family: summarize([r for r in rows if r["family"] == family]) for family in FAMILIES}
    summary = {family: content for family, content in summary.items() if content}
    print(json.dumps(summary, indent=2))
    if options.only is None and options.family is None:
        print(save_result("vi_speed", {
            "step_sizes": STEP_SIZES, "within_nats": WITHIN, "peers": {"pymc": PYMC},
            "seconds_given": options.seconds, "summary": summary, "rows": rows,
        }))  # fmt: skip


def compare(
    name: str, family: str, rounds: int, seconds: float, peer_python: Path, folder: Path
) -> dict[str, Any]:
    """All methods on one posterior and one family; what is in the folder is not run again."""
    import jax

    sys.path.insert(0, str(WORKERS))
    from bound import Bound

    files: dict[str, list[Path]] = {method: [] for method in METHODS}
    for number in range(rounds):
        for method, (worker, particles) in METHODS.items():
            out = folder / f"{method.replace(' ', '').replace(',', '-')}-{number}.npz"
            own = (
                [str(number), "0.1"]
                if particles is None
                else [str(particles), STEP_SIZES, str(seconds)]
            )
            python = peer_python if "PyMC" in method else Path(sys.executable)
            run_worker(python, worker, [name, family, *own], out)
            files[method].append(out)
    long = folder / "long.npz"
    run_worker(Path(sys.executable), "taut_infer.py", [name, family, "0", LONG], long)
    facts = {m: json.loads(own[0].with_suffix(".json").read_text()) for m, own in files.items()}
    num_draws, rate = facts["taut"]["num_draws"], folder / "rate.npz"
    run_worker(Path(sys.executable), "numpyro_rate.py", [name, family, str(num_draws)], rate)
    with jax.enable_x64(True):
        bound = Bound(reference_posteriors.read(name))
        ends = {m: [ends_of(bound, f) for f in own] for m, own in files.items()}
        every = [*(end for own in ends.values() for end in own), ends_of(bound, long)]
        best = max(value for end in every for value in end.values())
        found = {m: [first_within(bound, f, best) for f in own] for m, own in files.items()}
    return {
        "posterior": name,
        "family": family,
        "best_bound": best,
        "seconds": {m: [seconds for seconds, _ in own] for m, own in found.items()},
        "reached": {m: [reached for _, reached in own] for m, own in found.items()},
        "end_behind": {
            m: statistics.median(best - max(end.values()) for end in own)
            for m, own in ends.items()
        },
        "draws_a_step": num_draws,
        "steps_per_second": {
            "taut": facts["taut"]["steps_per_second"],
            "NumPyro": json.loads(rate.with_suffix(".json").read_text())["steps_per_second"],
        },
        "import_seconds": {m: f["import_seconds"] for m, f in facts.items()},
        "taut_seconds_with_weighing": facts["taut"]["seconds_with_weighing"],
    }  # fmt: skip


def run_worker(python: Path, worker: str, arguments: list[str], out: Path) -> None:
    """A fresh process with empty caches, unless its output is there; the JSON is written last."""
    if out.with_suffix(".json").exists():
        return
    scratch = out.with_suffix(".scratch")
    scratch.mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment["PYTENSOR_FLAGS"] = f"base_compiledir={scratch}"
    command = [str(python), "-W", "ignore", str(WORKERS / worker), *arguments, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    shutil.rmtree(scratch)
    if done.returncode:
        raise SystemExit(f"{worker} {' '.join(arguments)}\n{done.stderr}")


def ends_of(bound: Any, file: Path) -> dict[str, float]:
    """The bound at the end of each run in a file."""
    arrays = np.load(file)
    runs = json.loads(file.with_suffix(".json").read_text())["runs"]
    return {r: bound(arrays[f"{r}/loc"][-1], arrays[f"{r}/factor"][-1])[0] for r in runs}


def first_within(bound: Any, file: Path, best: float) -> tuple[float, bool]:
    """Seconds of the fastest run of a file until its bound is close to the best, and whether it is."""
    arrays = np.load(file)
    first, given = math.inf, 0.0
    for run in json.loads(file.with_suffix(".json").read_text())["runs"]:
        seconds = arrays[f"{run}/seconds"]
        given = max(given, float(seconds[-1]))
        for t, loc, factor in zip(
            seconds, arrays[f"{run}/loc"], arrays[f"{run}/factor"], strict=True
        ):
            if t >= first:
                break
            value, error = bound(loc, factor, _COARSE)
            if value + 5 * error > best - WITHIN and bound(loc, factor)[0] > best - WITHIN:
                first = float(t)
                break
    return (first, True) if math.isfinite(first) else (given, False)


def print_row(row: dict[str, Any]) -> None:
    times = {m: statistics.median(s) for m, s in row["seconds"].items()}
    cells = [
        f"{m} {'' if all(row['reached'][m]) else '>'}{seconds:.1f} s"
        for m, seconds in times.items()
    ]
    rates = row["steps_per_second"]
    print(
        f"{row['posterior']}, {row['family']}: {', '.join(cells)}; steps/s at {row['draws_a_step']} "
        f"draws: taut {rates['taut']:.0f}, NumPyro {rates['NumPyro']:.0f}",
        flush=True,
    )


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over posteriors of the ratios of peers to taut within a round."""
    if not rows:
        return {}
    peers = [m for m in METHODS if m != "taut"]

    def ratio(row: dict[str, Any], peer: str) -> float:
        pairs = zip(row["seconds"][peer], row["seconds"]["taut"], strict=True)
        return statistics.median(p / t for p, t in pairs)

    best_peer = [min(ratio(row, peer) for peer in peers) for row in rows]
    rates = [r["steps_per_second"]["taut"] / r["steps_per_second"]["NumPyro"] for r in rows]
    return {
        "speedup_over_best_peer": statistics.median(best_peer),
        "speedup_over": {p: statistics.median(ratio(row, p) for row in rows) for p in peers},
        "reached": {m: sum(all(row["reached"][m]) for row in rows) for m in METHODS},
        "of": len(rows),
        "steps_per_second_over_numpyro": statistics.median(rates),
    }


def install_pymc() -> Path:
    """The Python of an environment with PyMC, made where it is missing."""
    home = Path(os.environ.get("TAUT_PEERS", Path.home() / ".cache" / "taut-peers")) / "pymc"
    python = home / "bin" / "python"
    found = (
        python.exists()
        and not subprocess.run(
            [str(python), "-c", "import importlib.metadata as m; m.version('pymc')"],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not found:
        venv.create(home, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PYMC], check=True)
    return python


if __name__ == "__main__":
    main()
