"""`taut list`, `taut compare` of many runs, and `taut completion`, as a user drives them."""

import json
import subprocess

import numpy as np
import pytest

import taut
from taut.cli.main import main, whole_app

ROWS = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([3.0, 1.0, 0.5])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with three runs on the same rows, one within a folder, one not finished, one damaged."""
    folder = tmp_path_factory.mktemp("list")
    data = taut.load_data(ROWS, dtype=np.float64)
    for name, model in (("a", "ppca"), ("within/b", "fa")):
        (folder / name).parent.mkdir(exist_ok=True)
        taut.em(data, model=model, components=1, out=folder / name)
    taut.em(data, model="ppca", components=2, out=folder / "c")
    for name, kept in (("part", ("config.toml", "metrics.jsonl")), ("bad", ("config.toml",))):
        (folder / name).mkdir()
        for file in kept:
            (folder / name / file).write_bytes((folder / "a" / file).read_bytes())
    (folder / "bad" / "model.json").write_text("{")
    (folder / "bad" / "summary.json").write_text("{")
    (folder / "not a run").mkdir()
    return folder


def test_the_runs_of_a_folder_are_listed_with_how_far_they_are(place, capsys):
    assert main(["list", str(place), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["runs"]
    states = {run["path"].removeprefix(f"{place}/"): run["state"] for run in found}
    assert states == {
        "a": "finished", "bad": "damaged", "c": "finished", "part": "not finished",
        "within/b": "finished",
    }  # fmt: skip
    assert [run["model"] for run in found] == ["ppca", "", "ppca", "ppca", "fa"]
    expected = taut.load(place / "a").estimates["log_evidence"].to_dict()
    assert found[0]["log_evidence"] == expected
    assert main(["list", str(place)]) == 0
    out = capsys.readouterr().out
    assert "within/b" in out
    assert "damaged" in out


def test_a_run_lists_itself_and_a_folder_without_runs_says_so(place, capsys):
    assert main(["list", str(place / "a"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1
    assert main(["list", str(place / "not a run")]) == 0
    assert capsys.readouterr().out == f"no runs in {place / 'not a run'}\n"


def test_a_folder_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 2
    line = "taut: runs: expected a folder with runs, got nothing there. Try `taut fit digits`.\n"
    assert capsys.readouterr().err == line


def test_many_runs_are_compared_in_one_table(place, capsys):
    runs = [str(place / name) for name in ("a", "within/b", "c", "a")]
    assert main(["compare", *runs, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["runs"]) == set(runs)
    assert found["runs"][runs[0]]["difference"] is None
    expected = taut.compare(runs[2], runs[0])["log_evidence"]
    assert found["runs"][runs[2]]["difference"] == expected.to_dict()
    assert main(["compare", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = {run: taut.load(run).estimates["log_evidence"].value for run in runs}
    shown = [line.split()[0] for line in lines if line.startswith(str(place))]
    assert shown == sorted(numbers, key=lambda run: -numbers[run])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_of_every_command(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in ("refit-prior", "latent-dim", "components"))
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_shell_that_is_unknown_is_one_line(capsys):
    assert main(["completion", "csh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_command_is_in_the_whole_application():
    assert {"fit", "em", "infer", "list", "completion"} <= set(whole_app())
