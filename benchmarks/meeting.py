"""Two commands on one folder at once.

What a trial counts:

    owners_right    1 where each run has one owner: the other command has a folder of its own, comes
                    behind it, or is refused in a line that says why
    whole           1 where every run that is there is that of one command alone
    clean           1 where nothing hidden is left and no command printed a traceback
"""

import json
import random
import time
from pathlib import Path
from typing import Any

from forked import Command, Moment, left
from stopped import CASES, content

PAIRS = {
    "default names": ("vae", []),
    "one folder": ("vae", ["--out", "run"]),
    "replacing": ("vae", ["--out", "run", "--force"]),
    "resuming": ("vae", None),
    "em": ("gmm", ["--out", "run"]),
    "em, default names": ("fa", []),
    "em, replacing": ("fa", ["--out", "run", "--force"]),
    "posterior": ("posterior", ["--out", "run"]),
    "posterior, replacing": ("posterior", ["--out", "run", "--force"]),
}
_SAID = ("held by process", "holds a run", "just taken", "taking the place of")
_LATER = 0.5  # seconds


def met(name: str, generator: random.Random, here: Path, whole: dict[str, Path]) -> dict[str, Any]:
    """One trial.

    Arguments:
        name: of the pair.
        generator: decides how much later the second command comes.
        here: an empty folder, with the sources.
        whole: runs that one command made alone, by case and seed, as of `alone`.
    """
    case, more = PAIRS[name]
    commands = [[*CASES[case], "--seed", str(seed), *(more or [])] for seed in (0, 1)]
    if more and "--force" in more:
        _made([*CASES[case], "--out", "run"], here)
    if name == "resuming":
        begun = Command([*CASES[case], "--out", "run"], cwd=here, at=Moment(change=25))
        begun.wait()
        commands = [["resume", "run"]] * 2
    started = []
    for command in commands:
        started.append(Command(command, cwd=here))
        if len(started) == 1:
            time.sleep(generator.choice([0, 0, generator.uniform(0, _LATER)]))
    codes = [command.wait() for command in started]
    said = [command.said for command in started]
    runs = sorted(path.parent for path in here.glob("**/config.toml"))
    right = 0 in codes and set(codes) <= {0, 2}
    if more == []:
        right = right and codes == [0, 0] and len(runs) == 2
    else:
        refused = [text for code, text in zip(codes, said, strict=True) if code]
        right = right and len(runs) == 1 and all(any(w in t for w in _SAID) for t in refused)
    if more == ["--out", "run"]:
        right = right and sorted(codes) == [0, 2]
    found = {
        "trials": 1,
        "owners_right": int(right),
        "whole": int(all(_is_one(run, case, whole) for run in runs)),
        "clean": int(not left(here) and not any("Traceback" in text for text in said)),
    }
    wrong = not all(found.values())
    return {**found, "said": [f"exit codes {codes}", *(s[-1500:] for s in said)] if wrong else []}


def alone(sources: Path) -> dict[str, Path]:
    """Runs that were made by one command alone, by case and seed."""
    found = {}
    for case in {case for case, _ in PAIRS.values()}:
        for seed in (0, 1):
            name = f"{case} {seed}"
            found[name] = sources / f"alone-{case}-{seed}"
            _made([*CASES[case], "--seed", str(seed), "--out", found[name].name], sources)
    return found


def _made(words: list[str], here: Path) -> None:
    command = Command(words, cwd=here)
    if command.wait():
        raise RuntimeError(command.said)


def _is_one(run: Path, case: str, whole: dict[str, Path]) -> bool:
    """Whether a run is that of one seed alone."""
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    if steps != list(range(len(steps))):
        return False
    seed = int((run / "config.toml").read_text().split("seed = ")[1].split()[0])
    names = (
        "config.toml",
        "model.safetensors",
        "rows.safetensors",
        "metrics.jsonl",
        "summary.json",
    )
    alone_one = whole[f"{case} {seed}"]
    return all(content(run / name) == content(alone_one / name) for name in names)
