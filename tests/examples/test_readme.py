"""The README from top to bottom, as printed and in order, in an empty folder; and what the docs name."""

import json
import math
import os
import re
import subprocess
import sys

import pytest
import readme_blocks
from readme_blocks import BLOCKS, README, ROOT
from xla_flags import QUICK, known_flags

import taut
from taut.cli.main import COMMANDS, main

PAGES = sorted(
    page
    for page in (ROOT / "docs").glob("**/*.md")
    if page.relative_to(ROOT / "docs").parts[0] not in ("_build", "reference", "theorems")
)
TEXT = README + "".join(page.read_text() for page in PAGES)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The folder after the last block, and what was printed.

    In a process of its own, whose programs are optimised at LLVM's first level: they are of a user's
    size, take twice as long to run without, and longer to compile at the usual one.
    """
    folder = tmp_path_factory.mktemp("readme")
    level = "--xla_backend_optimization_level=1"
    flags = {"XLA_FLAGS": " ".join(known_flags((level, *QUICK[1:])))}
    found = subprocess.run(
        [
            sys.executable, "-W", "error::UserWarning", "-W", "error::RuntimeWarning",
            readme_blocks.__file__,
        ],
        cwd=folder, env=os.environ | flags, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return folder, found.stdout


def test_every_block_runs_and_every_run_is_finished(read):
    folder, printed = read
    runs = sorted(path.name for path in (folder / "runs").iterdir())
    assert {"plain", "ten-lines", "digits-lca-1"} <= {*runs}
    assert all((folder / "runs" / run / "summary.json").is_file() for run in runs)
    assert len(printed.strip().splitlines()) == 2


def test_every_number_is_finite_and_no_fit_is_below_independent_columns(read):
    folder, _ = read
    for path in (folder / "runs").glob("*/summary.json"):
        estimates = json.loads(path.read_text())["estimates"]
        assert all(math.isfinite(float(e["value"])) for e in estimates.values()), path
        if "independent_columns" in estimates:
            evidence, columns = (
                estimates[name]["value"] for name in ("log_evidence", "independent_columns")
            )
            assert evidence > columns, path


def test_the_answers_in_the_readme_are_those_of_this_code(read):
    """The digits may move with versions, the evidence by no more than its own error over rows."""
    _, printed = read
    answer, verdict = printed.strip().splitlines()
    shown = re.search(r"<!-- answer -->\n```text\n(.*?)\n```", README, re.S)
    assert shown is not None
    rows = re.search(r"± ([\d.]+) \(rows\)", shown[1])
    assert rows is not None
    assert abs(float(answer.split()[0]) - float(shown[1].split()[0])) < float(rows[1])
    assert answer.split("nats per row")[1] == shown[1].split("nats per row")[1]
    told = re.search(r"<!-- verdict -->\n```text\n(.*?)\n```", README, re.S)
    assert told is not None
    assert verdict.split(":")[0] == told[1].split(":")[0] == "believe"


def test_every_make_target_and_every_file_that_is_named_is_there():
    makefile = (ROOT / "Makefile").read_text()
    for kind, text in BLOCKS:
        for target in re.findall(r"^make (\S+)", text, re.M) if kind == "sh" else ():
            assert re.search(rf"^{target}:", makefile, re.M)
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).is_file(), link


def test_what_python_names_of_taut_is_there():
    for name in re.findall(r"`taut((?:\.\w+)+)", TEXT):
        found = taut
        for part in name[1:].split("."):
            found = getattr(found, part)


def test_every_option_that_is_named_is_one(capsys):
    """Of some command; the help of `fit` shows those of the named model."""
    text = ""
    models = ("vae", "flow", "ladder", "discrete", "mixture-vae", "vq")
    commands = [[name] for name in COMMANDS if name != "fit"]
    for words in [["fit", "--model", model] for model in models] + commands:
        assert main([*words, "--help"]) == 0
        text += capsys.readouterr().out
    for flag in set(re.findall(r"--[a-z][a-z-]+", TEXT)) - {"--help"}:
        assert flag in text, flag
