"""Commands that are killed, meet on one folder, or are given what is wrong: what is left, in counts.

    kills    SIGKILL or SIGTERM at moments of the whole life of a command, again and again, then to its
             end: the content of a run that was never stopped, each step once, nothing left (`stopped`)
    pairs    two commands on one folder at once: never two owners, nothing mixed (`meeting`)
    damages  every file of finished and stopped runs, damaged, and every command that reads it
    inputs   command lines, files of data and options, and programs that are wrong (`bad_content`)
    disk     a disk that is full from some write on, then the same command or `taut resume`

    python benchmarks/robustness.py kills [--times 1000] [--signal KILL] [--cases vae gmm]
    python benchmarks/robustness.py pairs|damages|inputs|disk [--times 100]

A part ends when it has counted so many stops, pairs or tries. Each trial is known by its part, case
and seed; its outcome is appended to a file of trials when it ends, so a command goes on where it was
stopped, does more when it is asked for more, and begins anew on another commit. results/robustness.json
has the counts of each part with its commit, and what trials that failed have said; parts of which there
are no trials here stay in it. The commands of the first two parts run in children of this process
(`forked`); those of the others in this process, many to a trial.
"""

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bad_content
import meeting
import numpy as np
import stopped
from forked import Command, warm
from record import RESULTS, conditions, write_whole

from taut.core import write_json

PATH = RESULTS.resolve() / "robustness.json"
TRIALS = PATH.with_suffix(".trials.jsonl")
COUNTED = {"pairs": "trials", "SIGKILL": "stops", "SIGTERM": "stops"}  # tries, of the other parts
PROGRAM = """
import numpyro
from numpyro import distributions as dist


def model(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""
CLASSIFIER = """
import jax.numpy as jnp


def odds(x):
    score = jnp.sum(x) - 3.0
    return jnp.stack([-score, score])
"""
Trial = Callable[[str, random.Random, Path], dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--cases", nargs="*", help="of the part; all of them by default")
    options = parser.parse_args()
    warm()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sources = Path(folder).resolve()
        _sources()
        part = f"SIG{options.signal}" if options.part == "kills" else options.part
        names, trial = PARTS[options.part](sources, options)
        for outcome in _trials(part, options, names, trial):
            print(json.dumps(outcome), flush=True)
    print(json.dumps(_told(_read()), indent=1))


# ---- Parts: the names of their cases, and what runs one trial ------------------------------------


def kills(sources: Path, options: argparse.Namespace) -> tuple[list[str], Trial]:
    number = getattr(signal, f"SIG{options.signal}")
    names = options.cases or [*stopped.CASES, *stopped.AFTERWARDS]
    wholes = {name: stopped.never_stopped(name, sources) for name in dict.fromkeys(("vae", *names))}

    def trial(name: str, generator: random.Random, here: Path) -> dict[str, Any]:
        return stopped.stopped(name, number, generator, here, wholes)

    return names, trial


def pairs(sources: Path, options: argparse.Namespace) -> tuple[list[str], Trial]:
    alone = meeting.alone(sources)
    return list(meeting.PAIRS), lambda name, generator, here: meeting.met(
        name, generator, here, alone
    )


def damages(sources: Path, options: argparse.Namespace) -> tuple[list[str], Trial]:
    wholes = {kind: sources / f"whole-{kind}" for kind in (*bad_content.KINDS, "stopped")}
    for kind in bad_content.KINDS:
        Command([*stopped.CASES[kind], "--out", str(wholes[kind])], cwd=sources).wait()
    shutil.copytree(wholes["vae"], wholes["stopped"])
    for name in ("summary.json", "rows.safetensors", "model.json", "model.safetensors"):
        (wholes["stopped"] / name).unlink()
    names = [
        f"{kind} {path.relative_to(whole)}"
        for kind, whole in wholes.items()
        for path in sorted(whole.rglob("*"))
        if path.is_file() and path.suffix != ".png"
    ]

    def trial(name: str, generator: random.Random, _: Path) -> dict[str, Any]:
        kind, file = name.split(" ", 1)
        return bad_content.damaged(kind, file, wholes[kind], generator)

    return names, trial


def inputs(sources: Path, options: argparse.Namespace) -> tuple[list[str], Trial]:
    names = [f"line {command}" for command in ("fit", "em", "infer")]
    names += [f"file {name}" for name in bad_content.sources()]

    def trial(name: str, generator: random.Random, _: Path) -> dict[str, Any]:
        kind, what = name.split(" ", 1)
        return (bad_content.typed if kind == "line" else bad_content.read)(what, generator)

    return names, trial


def disk(sources: Path, options: argparse.Namespace) -> tuple[list[str], Trial]:
    cases = {**stopped.CASES, **stopped.AFTERWARDS}
    names = ["vae", "gmm", "posterior", "evaluate", "audit", "figures", "refit-prior"]
    whole = sources / "whole-vae"
    Command([*stopped.CASES["vae"], "--out", str(whole)], cwd=sources).wait()
    return names, lambda name, generator, _: bad_content.filled(name, cases[name], whole, generator)


PARTS = {"kills": kills, "pairs": pairs, "damages": damages, "inputs": inputs, "disk": disk}


# ---- Trials ----------------------------------------------------------------------------------------


def _trials(
    part: str, options: argparse.Namespace, names: list[str], trial: Trial
) -> Iterator[dict[str, Any]]:
    """Run the seeds that are not there yet, by turns over the cases, until there are enough."""
    names, turn, counted = options.cases or names, 0, COUNTED.get(part, "tries")
    done = {(o["case"], o["seed"]): o for o in _read() if o["part"] == part and _is_of_now(o)}
    while sum(o[counted] for (case, _), o in done.items() if case in names) < options.times:
        name, seed = names[turn % len(names)], turn // len(names)
        turn += 1
        if (name, seed) in done:
            continue
        here = Path.cwd()
        folder = here / "trial"
        folder.mkdir()
        os.chdir(stopped.with_sources(folder, here))
        outcome = trial(name, random.Random(f"{part} {name} {seed}"), folder)
        os.chdir(here)
        shutil.rmtree(folder)
        found = {"part": part, "case": name, "seed": seed, "commit": _NOW["commit"], **outcome}
        done[name, seed] = found
        with TRIALS.open("a") as file:
            file.write(json.dumps(found) + "\n")
        write_json(PATH, {**_NOW, "parts": _kept() | _told(_read())})
        yield found


_NOW = conditions()


def _is_of_now(outcome: dict[str, Any]) -> bool:
    return outcome["commit"] == _NOW["commit"]


def _kept() -> dict[str, Any]:
    """Parts that have been counted, by trials that may lie elsewhere."""
    return json.loads(PATH.read_text())["parts"] if PATH.exists() else {}


def _read() -> list[dict[str, Any]]:
    return [*map(json.loads, TRIALS.read_text().splitlines())] if TRIALS.exists() else []


def _told(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each part its newest commit, counts of all and of each case, and failures."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        same = parts.setdefault(outcome["part"], [])
        if same and same[-1]["commit"] != outcome["commit"]:
            same.clear()
        same.append(outcome)
    return {
        part: {
            "commit": same[-1]["commit"],
            "counts": _added(same),
            "cases": {
                case: _added([o for o in same if o["case"] == case])
                for case in dict.fromkeys(o["case"] for o in same)
            },
            "failures": [
                {what: o[what] for what in ("case", "seed", "said")} for o in same if o["said"]
            ],
        }
        for part, same in parts.items()
    }


def _added(outcomes: list[dict[str, Any]]) -> dict[str, int]:
    names = [n for n in outcomes[0] if n not in ("part", "case", "seed", "commit", "said")]
    return {name: sum(outcome[name] for outcome in outcomes) for name in names}


def _sources() -> None:
    draw = np.random.default_rng(0)
    bits = (draw.random((200, 6)) < 0.4).astype(np.float32)
    np.save("bits.npy", bits)
    np.save("reals.npy", draw.normal(size=(200, 4)) + 3 * draw.integers(0, 2, size=(200, 1)))
    np.save("holes.npy", np.where(draw.random((20, 6)) < 0.2, np.nan, bits[:20]))
    Path("normal.py").write_text(PROGRAM)
    Path("classifier.py").write_text(CLASSIFIER)
    write_whole(Path("rows.json"), {"y": [0.3, 1.9, 1.2, 0.8, 1.5]})


if __name__ == "__main__":
    main()
