"""Whatever is typed: one line of what was expected, got and to try; and nothing is written."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taut.cli.main import COMMANDS, main
from taut.inference.posterior import PosteriorOptions
from taut.recipe import CHOICES, options, options_of

COUNT = 30  # generated lines of each command
_NUMBERS = (
    "1.5",
    "1e3",
    "-1",
    "0",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "99999999999999999999",
    "0x10",
    "--",
)
_WORDS = ("", "x", "none", "'", "é", "a,b", "3,,4", "-3,4", ",", "3;4", "[1, 2]", "{}", "a" * 300)
PROGRAM = """
import numpyro
from numpyro import distributions as dist

def model(y):
    numpyro.sample("y", dist.Normal(numpyro.sample("m", dist.Normal(0.0, 1.0)), 1.0), obs=y)

def leaves(y):
    raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(96, 3)))
    (folder / "program.py").write_text(PROGRAM)
    (folder / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (folder / "deep.json").write_text('{"y": ' + "[" * 100_000 + "]" * 100_000 + "}")
    (folder / "long.json").write_text('{"y": ' + "9" * 5000 + "}")
    (folder / "y.json").write_text(json.dumps({"y": [0.1]}))
    (folder / "seed.toml").write_text("seed = 9223372036854775808\n")
    (folder / "deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    (folder / "odd.toml").write_text('data = "a\\u0000b.npy"\n')
    (folder / "claims.npy").write_bytes(_header("(10000000000000, 3)") + bytes(64))
    (folder / "negative.npy").write_bytes(_header("(-3, 3)") + bytes(64))
    (folder / "images").mkdir()
    for name in "ab":
        Image.new("1", (12_000, 12_000)).save(folder / "images" / f"{name}.png")
    return folder


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _refused(capsys, words: list[str]) -> str:
    """The line of a command that must be refused."""
    return _one_line(capsys, words, main(words))


def _one_line(capsys, words: list[str], code: int) -> str:
    out, err = capsys.readouterr()
    assert code in (1, 2), (words, err)
    assert out == "", words
    assert err.startswith("taut: "), (words, err)
    assert err.count("\n") == 1, (words, err)
    assert all(part in err for part in ("expected ", ", got ", " Try ")), (words, err)
    return err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fit rows.npy --epochs 1.5", "epochs: expected a whole number, got '1.5'"),
        ("sample run -n 1.5", "num-samples: expected a whole number, got '1.5'"),
        ("infer program.py --num-draws 200.5", "num-draws: expected a whole number, got '200.5'"),
        ("fit rows.npy --seed 9223372036854775808", "seed: expected a whole number that fits 64 bits"),
        ("evaluate run --seed -9223372036854775809", "seed: expected a whole number that fits 64 bits"),
        ("fit rows.npy --config seed.toml", "seed: expected a whole number that fits 64 bits"),
        ("fit rows.npy --hidden 99999999999999999999", "hidden: expected whole numbers"),
        ("fit rows.npy --hidden 3,,4", "hidden: expected whole numbers"),
        ("fit rows.npy --image-shape -3,4", "image-shape: expected "),
        ("fit rows.npy --split -1,1,1", "split: expected 3 positive shares"),
        ("fit rows.npy --config deep.toml", "deep.toml: expected TOML, got lists nested too deeply"),
        ("fit --config odd.toml", "got embedded null byte"),
        ("fit claims.npy", "claims.npy: expected a whole .npy file"),
        ("fit negative.npy", "negative.npy: expected a whole .npy file"),
        ("fit ~nobody-here/x.npy", "expected a file, got nothing of that name"),
        (f"fit {'a' * 300}.npy", "expected a path that can be read, got File name too long"),
        (f"fit rows.npy --out {'a' * 300}", "expected a path that can be used, got File name too long"),
        (f"show {'a' * 300}", "expected a path that can be used, got File name too long"),
        (f"infer {'a' * 300}.py", "expected a path that can be used, got File name too long"),
        ("fit images", "expected images of at most 89,478,485 pixels"),
        ("em rows.npy --components 94-99", "expected at most 76 components"),
        ("em rows.npy --components 1-99999999999", "expected a number, a range or a list of them"),
        ("infer leaves.py", "got SystemExit: 3. Try python leaves.py"),
        ("infer program.py:leaves --data y.json", "line 9: expected a function that JAX can trace"),
        ("infer program.py --data deep.json", "deep.json: expected JSON whose lists are tables"),
        ("infer program.py --data long.json", "long.json: expected numbers that fit 64 bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(line, words, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert words in _refused(capsys, line.split())
    assert sorted(files.iterdir()) == before


def _generated(command: str, rng: np.random.Generator) -> list[str]:
    """A line whose options are the command's, mostly with values that they do not take."""
    table = {o.name: o for o in options().values()}
    if command == "infer":
        table = dict(options_of(PosteriorOptions, "posterior"))
    names = [
        *table,
        "seed",
        *(CHOICES if command != "infer" else ()),
        "json",
        "out",
        "config",
        "zzz",
    ]
    words = [command, "program.py" if command == "infer" else "rows.npy"]
    for _ in range(int(rng.integers(1, 4))):
        name = names[int(rng.integers(len(names)))].replace("_", "-")
        values = (*_NUMBERS, *_WORDS)
        value = values[int(rng.integers(len(values)))]
        words += [f"--{name}={value}"] if rng.random() < 0.3 else [f"--{name}", value]
    return words


@pytest.mark.parametrize("command", ["fit", "em", "infer"])
def test_generated_lines_are_refused_in_one_line_or_run(command, files, monkeypatch, capsys):
    """Lines that are right after all go no further than to the run, which is left out here."""
    monkeypatch.chdir(files)
    for place in ("taut.cli.fit.run_fit", "taut.cli.infer.run_infer"):
        monkeypatch.setattr(place, lambda *_, **__: None)
    rng, refused, before = np.random.default_rng(len(command)), 0, sorted(files.iterdir())
    for _ in range(COUNT):
        words = _generated(command, rng)
        code = main(words)
        if code == 0:
            capsys.readouterr()
            continue
        _one_line(capsys, words, code)
        refused += 1
    assert refused > COUNT / 2
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("fit", "em", "infer")])
def test_a_path_that_is_no_run_is_one_line(command, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    more = {"interpolate": ["0", "1"], "compare": ["rows.npy"]}.get(command, [])
    folders = [] if command == "list" else ["images", Path("/").as_posix()]  # which have no runs
    for path in ("rows.npy", "nowhere", "a" * 300, "~nobody-here/run", *folders):
        _refused(capsys, [command, path, *more])
