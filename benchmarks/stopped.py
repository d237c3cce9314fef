"""A command that is stopped, and stopped again when it goes on, against one that never was.

A fit, an EM or a posterior goes on by `taut resume`; evaluate, audit, calibrate, refit-prior, the
figures, explain and impute are called again. What a trial counts:

    stops        commands that the signal ended, and where each stood: before its config.toml, computing,
                 measuring the trained model, or drawing figures
    same         1 where every file has the content of the run that was never stopped, but for wall
                 times and the note of the resume
    once         1 where each step is in metrics.jsonl once, in order
    clean        1 where nothing else is left, hidden or not
    quiet        1 where no command printed a traceback, nor failed but by the signal
"""

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from forked import Command, Used, left, moment

EPOCHS, BATCH = 12, 16
_FIT = (
    f"--epochs {EPOCHS} --batch-size {BATCH} --checkpoint-every 7 --validate-every 10 --patience 0 "
    "--evidence-particles 20"
)
CASES = {
    name: words.split()
    for name, words in {
        "vae": f"fit bits.npy --latent-dim 2 --hidden 4 {_FIT}",
        "discrete": f"fit bits.npy --model discrete --latents bernoulli:3 {_FIT}",
        "vq": f"fit bits.npy --model vq --latents 2x3 --code-dim 2 {_FIT}",
        "ladder": f"fit bits.npy --model ladder --latent-dims 2,1 --hidden 3,2 {_FIT}",
        "flow": f"fit reals.npy --model flow --layers affine-coupling:2 --hidden 4 {_FIT}",
        "mixture-vae": f"fit bits.npy --model mixture-vae --components 2 {_FIT}",
        "gmm": "em reals.npy --components 1-3",
        "ppca": "em reals.npy --model ppca --components 1",
        "fa": "em reals.npy --model fa --components 1",
        "lca": "em bits.npy --model lca --components 2",
        "posterior": "infer normal.py --data rows.json --num-draws 2000",
    }.items()
}
AFTERWARDS = {
    name: words.split()
    for name, words in {
        "evaluate": "evaluate run --method importance --num-particles 20",
        "audit": "audit run --rows 20",
        "calibrate": "calibrate run --rows 50 --draws 20",
        "refit-prior": "refit-prior run --prior mixture:2 --steps 30 --num-particles 20 --out refitted",
        "figures": "figures run",
        "explain": "explain run bits.npy --classifier classifier.py:odds --target 1 --rows 3 "
        "--confidence 0.6 --most-unexplained 1 --diagnose",
        "impute": "impute run holes.npy --num-particles 20 --draws 2",
        "sample": "sample run -n 3",
    }.items()
}
_STOPS = 6  # in a row
_PHASES = ("before", "computing", "measuring", "figures", "afterwards")
# What differs where nothing else does: wall times, that a run was resumed, and checksums of these.
_OF_THE_WAY = {"seconds", "training_seconds", "evaluation_seconds", "notes", "sha256"}


class Whole(NamedTuple):
    """A run that was never stopped, and what it took with its programs in the cache."""

    folder: Path
    used: Used


def never_stopped(name: str, folder: Path) -> Whole:
    """Run a case to its end, twice.

    Arguments:
        name: of the case.
        folder: absolute; where the runs are kept, beside the sources.
    """
    runs = [folder / f"{name}-{turn}" for turn in range(2)]
    for run in runs:
        run.mkdir()
        if name in AFTERWARDS:
            shutil.copytree(folder / "vae-1" / "run", run / "run")
        command = Command(first(name), cwd=with_sources(run, folder))
        if command.wait():
            raise RuntimeError(f"{name}: {command.said}")
    differ = differing(*runs)
    assert not differ, f"{name} twice: {differ}"
    return Whole(runs[1], command.used)


def first(name: str) -> list[str]:
    """The command line that begins a case."""
    return AFTERWARDS.get(name) or [*CASES[name], "--out", "run"]


def with_sources(folder: Path, sources: Path) -> Path:
    """A folder with links to the files of data that the commands read."""
    for source in sources.glob("*.*"):
        if source.is_file():
            (folder / source.name).symlink_to(source)
    return folder


def stopped(
    name: str, number: int, generator: random.Random, here: Path, wholes: Mapping[str, Whole]
) -> dict[str, Any]:
    """One trial.

    Arguments:
        name: of the case.
        number: of the signal.
        generator: decides when it is sent.
        here: an empty folder, with the sources.
        wholes: see `never_stopped`.
    """
    whole, counts, told = wholes[name], dict.fromkeys(_PHASES, 0), []
    if name in AFTERWARDS:
        shutil.copytree(wholes["vae"].folder / "run", here / "run")
    for turn in range(_STOPS + 1):
        at = moment(generator, whole.used)
        command = Command(
            _next(name, here), cwd=here, **({} if turn == _STOPS else {"at": at, "number": number})
        )
        command.wait()
        if not command.stopped:
            break
        told.append(f"{at}: {command.said}")
        counts[_phase(name, here)] += 1
    if command.code == 0:  # the one that was let be, or came to its end before its moment
        told.append(command.said)
    steps = _steps(here)
    differ = differing(here, whole.folder)
    found = {
        "trials": 1,
        "stops": sum(counts.values()),
        **{f"stops_{phase}": count for phase, count in counts.items()},
        "same": int(not differ),
        "once": int(steps == list(range(len(steps)))),
        "clean": int(not left(here)),
        "quiet": int(command.code == 0 and not any("Traceback" in line for line in told)),
    }
    wrong = not all(found[what] for what in ("same", "once", "clean", "quiet"))
    hidden = [str(path.relative_to(here)) for path in left(here)]
    said = [*told, f"exit code {command.code}: {command.said}", str(differ), str(hidden)]
    return {**found, "said": [text[-1500:] for text in said] if wrong else []}


def _next(name: str, here: Path) -> list[str]:
    if name in AFTERWARDS:
        there = any((here / "refitted").glob("**/config.toml"))
        return [*AFTERWARDS[name], *["--force"] * (name == "refit-prior" and there)]
    if not (here / "run" / "config.toml").exists():
        return first(name)
    return ["resume", "run", *(["normal.py"] if name == "posterior" else [])]


def _phase(name: str, here: Path) -> str:
    run = here / "run"
    if name in AFTERWARDS:
        return "afterwards"
    if not (run / "config.toml").exists():
        return "before"
    if not (run / "model.safetensors").exists():
        return "computing"
    summary = run / "summary.json"
    if not summary.exists() or not json.loads(summary.read_text())["estimates"]:
        return "measuring"
    return "figures"


def _steps(here: Path) -> list[int]:
    lines = [line for path in here.rglob("metrics.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line)["step"] for line in lines]


def differing(folder: Path, other: Path) -> list[str]:
    """The files that two folders do not both have with the same content, but for checkpoints."""
    names = {
        str(path.relative_to(one))
        for one in (folder, other)
        for path in one.rglob("*")
        if path.is_file() and not path.is_symlink() and "checkpoints" not in path.parts
    }
    return sorted(n for n in names if content(folder / n) != content(other / n))


def content(path: Path) -> object:
    """What a file holds of the result, however it came about; None where there is none."""
    if not path.is_file():
        return None
    if path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [json.loads(line, object_hook=_of_the_result) for line in lines]


def _of_the_result(found: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in found.items() if n not in _OF_THE_WAY}
