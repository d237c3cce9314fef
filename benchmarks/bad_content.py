"""Files and command lines that are wrong, many a second: each is one line, and loses nothing.

The commands run in this process. What is accepted goes no further than to where computing would begin.
A trial is a number of tries of one case under one seed; what it counts:

    tries      commands that were run
    refused    exit code 1 or 2
    kept       exactly one line where refused, no traceback, nothing else written, removed or changed
    small      at most 10 s, and 1 GiB over the start
"""

import contextlib
import io
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from forked import left
from record import RESULTS
from stopped import differing, with_sources

from taut.errors import RunError

TESTS = RESULTS.resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS / "runs"))

from damages import damages  # noqa: E402 - beside the tests
from full_disk import full_after  # noqa: E402

DAMAGES, LINES, FILLED = 40, 100, 20  # tries of a trial
KINDS = ("vae", "gmm", "posterior")
READERS = {
    words.split()[0]: words.split()
    for words in (
        "show run --json",
        "compare run whole --json",
        "sample run -n 2 --out made.npy --json",
        "encode run --out made.npy --json",
        "reconstruct run -n 2 --out made.npy --json",
        "interpolate run 0 1 --out made.npy --json",
        "evaluate run --method importance --json",
        "audit run --rows 10 --json",
        "calibrate run --rows 50 --draws 20 --json",
        "refit-prior run --prior mixture:2 --steps 3 --out new --json",
        "figures run --json",
        "resume run --json",
    )
}
_OF_PROGRAMS = ("show", "compare", "figures", "resume")
_WRITE = ("figures", "resume", "evaluate", "audit", "calibrate")  # into the run
_VALUES = (
    "1.5", "1e3", "-1", "0", "nan", "inf", "-inf", "1e999", "99999999999999999999", "0x10", "--", "",
    "x", "none", "'", "é", "a,b", "3,,4", "-3,4", ",", "3;4", "[1, 2]", "{}", "a" * 300, "~nobody/x",
)  # fmt: skip
_ACCEPTED = "nothing that is wrong"


def tried(words: list[str]) -> dict:
    """One command, and what is to be said against it."""
    out, err, began = io.StringIO(), io.StringIO(), time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    from taut.cli.main import main

    wrong, code = [], 0
    with (
        _native() as printed,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(words)
        except BaseException:
            wrong.append(traceback.format_exc()[-1500:])
    wrong += [f"printed by native code: {printed[:5]}"] * bool(printed)
    if code > 128:
        raise KeyboardInterrupt  # a signal that was meant for all trials
    if _ACCEPTED in err.getvalue():
        code = 0
    lines = [
        line
        for line in err.getvalue().splitlines()
        if not line.startswith("note: ") and _ACCEPTED not in line
    ]
    if not wrong and (len(lines) != (code != 0) or any(not x.startswith("taut: ") for x in lines)):
        wrong.append(f"exit code {code}: {lines[:5]}")
    if code not in (0, 1, 2):
        wrong.append(f"exit code {code}")
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 2**20
    return {"refused": code in (1, 2), "wrong": wrong, "small": seconds < 10 and grown < 1}


@contextlib.contextmanager
def _native() -> Iterator[list[str]]:
    """The lines that native code prints on standard error within, without Python."""
    lines: list[str] = []
    own = os.dup(2)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(own, 2)
            os.close(own)
            file.seek(0)
            lines += file.read().splitlines()


def _told(found: list[tuple[object, dict]]) -> dict:
    """The counts of a trial."""
    return {
        "tries": len(found),
        "refused": sum(one["refused"] for _, one in found),
        "kept": sum(not one["wrong"] for _, one in found),
        "small": sum(one["small"] for _, one in found),
        "said": [[str(what), *one["wrong"]] for what, one in found if one["wrong"]][:5],
    }


# ---- Run folders -----------------------------------------------------------------------------------


def damaged(kind: str, name: str, whole: Path, generator: random.Random) -> dict:
    """One file of a run damaged in many ways, and every command that reads it.

    Arguments:
        kind: of the run.
        name: of the file, within the folder.
        whole: the run.
        generator: decides where.
    """
    rng, found = np.random.default_rng(generator.getrandbits(64)), []
    run = Path("run")
    Path("whole").symlink_to(whole)
    for what, content in damages(whole / name, rng, DAMAGES):
        command = generator.choice(_OF_PROGRAMS if kind == "posterior" else [*READERS])
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree("new", ignore_errors=True)
        shutil.copytree(whole, run)
        (run / name).write_bytes(content)
        words, before = READERS[command], _files(run)
        if kind == "posterior" and command in ("figures", "resume"):
            words = [*words[:2], "normal.py", *words[2:]]
        one = tried(words)
        after = _files(run)
        lost = [n for n in before if n not in after]
        if command not in ("figures", "resume"):
            written = [n for n in after if command in _WRITE and n not in before]
            lost += [n for n in after if after[n] != before.get(n) and n not in written]
        one["wrong"] += [f"lost or changed: {lost[:3]}"] * bool(lost)
        found.append(((kind, name, what, command), one))
    return _told(found)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def filled(name: str, words: list[str], whole: Path, generator: random.Random) -> dict:
    """A command whose disk fills up at some of its writes, gone on with to the same content.

    Arguments:
        name: of the case.
        words: of the command; those of a fit, an EM or a posterior name no folder.
        whole: a finished run, for commands on one.
        generator: decides which writes.
    """
    begins = words[0] in ("fit", "em", "infer")
    here = Path.cwd()

    def anew() -> Path:
        folder = Path(tempfile.mkdtemp(dir=here))
        if not begins:
            shutil.copytree(whole, folder / "run")
        with_sources(folder, here)
        os.chdir(folder)
        return folder

    words = [*words, "--out", "run"] if begins else words
    undisturbed = anew()
    with full_after(10**9, undisturbed) as calls:
        tried(words)
    found = []
    for number in sorted(generator.sample(range(len(calls)), min(FILLED, len(calls)))):
        folder = anew()
        before = _files(folder)
        with full_after(number, folder):
            one = tried(words)
        lost = [n for n in before if not begins and _files(folder).get(n) != before[n]]
        one["wrong"] += [f"lost or changed: {lost[:3]}"] * bool(lost and name != "figures")
        again = words
        if begins and (folder / "run").exists():
            again = ["resume", "run", *["normal.py"] * (name == "posterior")]
        if (folder / "refitted").exists():
            again = [*words, "--force"]
        second = tried(again)
        one["wrong"] += second["wrong"] + [f"{again[0]} is refused"] * second["refused"]
        differ = differing(folder, undisturbed)
        one["wrong"] += [f"{differ} differ"] * bool(differ)
        one["wrong"] += [f"left: {left(folder)}"] * bool(left(folder))
        found.append(((name, f"write {number} of {len(calls)}"), one))
        os.chdir(here)
        shutil.rmtree(folder)
    os.chdir(here)
    shutil.rmtree(undisturbed)
    return _told(found)


# ---- What is typed, and files of data --------------------------------------------------------------


def typed(command: str, generator: random.Random) -> dict:
    """Command lines whose options mostly have values that they do not take."""
    from taut.inference.posterior import PosteriorOptions
    from taut.recipe import CHOICES, options, options_of

    table = [o.name for o in options().values()] + list(CHOICES)
    if command == "infer":
        table = list(options_of(PosteriorOptions, "posterior"))
    names = [*table, "seed", "json", "out", "config", "zzz"]
    source, found = {"infer": "normal.py"}.get(command, "reals.npy"), []
    for _ in range(LINES):
        words = [command, source]
        for _ in range(generator.randrange(1, 4)):
            name, value = generator.choice(names).replace("_", "-"), generator.choice(_VALUES)
            words += [f"--{name}={value}"] if generator.random() < 0.3 else [f"--{name}", value]
        found.append((words, _only_read(words)))
    return _told(found)


def read(name: str, generator: random.Random) -> dict:
    """One file of data, options or a program, damaged in many ways."""
    source, rng = Path(name), np.random.default_rng(generator.getrandbits(64))
    found = []
    damaged_one = Path(f"damaged{source.suffix}")
    if source.suffix == ".png":
        _images(Path("images"), rng)
        damaged_one = "images" / damaged_one
    words = {
        ".json": ["infer", "normal.py", "--data", str(damaged_one)],
        ".toml": ["fit", "reals.npy", "--config", str(damaged_one)],
        ".png": ["fit", "images"],
        ".py": ["infer", str(damaged_one), "--data", "rows.json"],
    }.get(source.suffix, ["fit", str(damaged_one)])
    damaged_one.write_bytes(source.read_bytes())
    assert not _only_read(words)["refused"], f"{name} is refused as it is"
    for what, harmed in damages(source, rng, DAMAGES):
        damaged_one.write_bytes(harmed)
        found.append(((name, what, harmed[:200]), _only_read(words)))
    return _told(found)


def _images(folder: Path, rng: np.random.Generator) -> None:
    """A folder of small images, one file each."""
    from PIL import Image

    folder.mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(256, size=(8, 8), dtype=np.uint8)).save(folder / f"{i}.png")


def _only_read(words: list[str]) -> dict:
    """One command up to where it would compute."""
    before = sorted(path.name for path in Path().iterdir())
    with _nothing_computed():
        one = tried(words)
    after = sorted(path.name for path in Path().iterdir())
    one["wrong"] += [f"left behind: {set(after) - set(before)}"] * (before != after)
    return one


@contextlib.contextmanager
def _nothing_computed() -> Iterator[None]:
    def accepted(*_: object, **__: object) -> None:
        raise RunError("no more than that it is read", _ACCEPTED, "the command itself")

    with (
        mock.patch("taut.api.fitting.fit_amortized", accepted),
        mock.patch("taut.api.fitting.fit_exact", accepted),
        mock.patch("taut.api.inferring.fit_posterior", accepted),
    ):
        yield


def sources() -> list[str]:
    """Small whole files of every kind that is read, beside those of the other parts."""
    import polars as pl
    from PIL import Image
    from scipy.io import savemat

    draw = np.random.default_rng(1)
    reals = draw.normal(size=(40, 3))
    frame = pl.DataFrame({"a": reals[:, 0], "b": reals[:, 1], "c": draw.integers(0, 3, 40)})
    frame.write_csv("table.csv")
    frame.write_csv("table.tsv", separator="\t")
    frame.write_parquet("table.parquet")
    np.savez("arrays.npz", x=reals)
    savemat("matlab.mat", {"x": reals})
    Path("options.toml").write_text("seed = 3\nepochs = 2\nhidden = [4]\nlearning_rate = 0.01\n")
    Image.new("L", (8, 8), 99).save("image.png")
    return [
        "reals.npy", "table.csv", "table.tsv", "table.parquet", "arrays.npz", "matlab.mat",
        "options.toml", "rows.json", "normal.py", "image.png",
    ]  # fmt: skip
