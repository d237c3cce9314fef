"""The same bytes: thirteen small fits by two trees of sources, compared array by array.

    python benchmarks/golden.py record --tree TREE --out A.json [--only NAME,NAME] [--kept FOLDER]
    python benchmarks/golden.py record --tree OTHER --out B.json
    python benchmarks/golden.py compare A.json B.json

`record` fits the recipes of `golden_recipes.py` with TREE/src, each in a process of its own, and keeps
for every run folder the SHA-256 of every array in its safetensors (type, shape and bytes) and its
estimates. `compare` says for each run what differs, and exits with 1 where EXPECTED gives no reason
for it. An array that only has another name is told apart from one with other bytes.

Bytes hold for one processor, number of cores and set of versions: `compare` refuses two recordings that
differ in these. `results/golden.json` is the recording of 8b23e30, made without --out; on another
machine record that commit again. Where a difference is wanted, such as another random key, record the
older tree with that one change in it, so that all else is still compared.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from golden_recipes import RECIPES
from record import conditions, save_result, write_whole
from safetensors.numpy import load_file

# Run, and the reason for which its numbers differ from those of 8b23e30.
_COLUMNS = (
    "independent columns are in closed form for every exact model, to the last digit otherwise"
)
_STARTS = f"{_COLUMNS}; of the clusterings of a start, another may go on"
EXPECTED: dict[str, str] = {
    "em/fa": _COLUMNS,
    "em/gmm": _STARTS,
    "em/lca": _STARTS,
    "em/ppca": _COLUMNS,
    "em/online": "online EM holds out the rows of a file that a streamed fit holds out",
    "vae_renyi_flow_guide/run": "the flow of a guide starts from a key that is not the decoder's too",
}

FILES = ("model", "draws", "rows")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    recorder = commands.add_parser("record")
    recorder.add_argument(
        "--tree", type=Path, required=True, help="a checkout, with src/taut in it"
    )
    recorder.add_argument("--out", type=Path, help="instead of results/golden.json")
    recorder.add_argument("--only", default=",".join(RECIPES), help="names with commas between")
    recorder.add_argument("--kept", type=Path, help="where the run folders stay")
    comparer = commands.add_parser("compare")
    comparer.add_argument("first", type=Path)
    comparer.add_argument("second", type=Path)
    options = parser.parse_args()
    if options.command == "compare":
        return compare(
            json.loads(options.first.read_text()), json.loads(options.second.read_text())
        )
    with tempfile.TemporaryDirectory() as scratch:
        runs = record(options.tree, options.only.split(","), options.kept or Path(scratch))
    content = {"commit": _commit(options.tree), "runs": runs}
    if options.out:
        write_whole(options.out, {**conditions(), **content})
    else:
        save_result("golden", content)
    return 0


def record(tree: Path, names: list[str], folder: Path) -> dict[str, Any]:
    """By run, `recipe/folder`, its arrays and estimates."""
    runs = {}
    for name in names:
        place = folder.absolute() / name
        place.mkdir(parents=True)
        began = time.perf_counter()
        _run(tree, name, place)
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
        for summary in sorted(place.glob("*/summary.json")):
            runs[f"{name}/{summary.parent.name}"] = {
                "arrays": dict(_arrays(summary.parent)),
                "estimates": json.loads(summary.read_text())["estimates"],
            }
    return runs


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> int:
    """Print what differs; 1 where something does that is not expected, else 0."""
    for what in ("hardware", "versions"):
        if {**first[what], "taut": ""} != {**second[what], "taut": ""}:
            print(f"golden: {what} differ: {first[what]} and {second[what]}", file=sys.stderr)
            return 2
    unexpected = 0
    for run in sorted(first["runs"].keys() | second["runs"].keys()):
        found = list(_differences(first["runs"].get(run), second["runs"].get(run)))
        reason = EXPECTED.get(run)
        unexpected += bool(found) and reason is None
        verdict = "same" if not found else f"expected: {reason}" if reason else "DIFFERS"
        print(f"{run}: {verdict}")
        print("".join(f"    {line}\n" for line in found), end="")
    print(f"{unexpected} of the runs differ without a reason")
    return int(unexpected > 0)


def _differences(first: Any, second: Any) -> Iterator[str]:
    if first is None or second is None:
        yield f"run only in the {'second' if first is None else 'first'}"
        return
    old, new = first["arrays"], second["arrays"]
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield f"other bytes: {name}"
    gone, come = ({n: a[n] for n in a.keys() - b.keys()} for a, b in ((old, new), (new, old)))
    for name in sorted(gone):
        same = next((n for n in sorted(come) if come[n] == gone[name]), None)
        yield f"only in the first: {name}" if same is None else f"renamed: {name} to {same}"
        come.pop(same or "", None)
    yield from (f"only in the second: {name}" for name in sorted(come))
    old, new = first["estimates"], second["estimates"]
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"estimate {name}: {old.get(name)} and {new.get(name)}"


def _run(tree: Path, name: str, place: Path) -> None:
    source = (tree / "src").absolute()
    if not (source / "taut").is_dir():
        sys.exit(f"golden: expected a checkout with src/taut, got {tree}")
    command = [sys.executable, str(Path(__file__).parent / "golden_recipes.py"), name, str(place)]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"golden: {name} of {tree} failed:\n{done.stdout}{done.stderr}")


def _arrays(run: Path) -> Iterator[tuple[str, str]]:
    for file in FILES:
        path = run / f"{file}.safetensors"
        for name, array in sorted(load_file(path).items()) if path.exists() else ():
            what = f"{array.dtype} {array.shape}".encode()
            yield f"{file}:{name}", sha256(what + np.ascontiguousarray(array).tobytes()).hexdigest()


def _commit(tree: Path) -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tree), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (
        "+changes" * bool(git("status", "--short", "src"))
    )


if __name__ == "__main__":
    sys.exit(main())
