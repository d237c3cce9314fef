"""A run folder may come from anybody: what it names is never executed, what it links to not touched."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

import taut
from taut.cli.infer import program_data
from taut.cli.main import COMMANDS, main
from taut.models.program import load_program
from taut.recipe import ProgramRecipe, Recipe
from taut.runs import FORMAT, RunFolder

NORMAL = """
import numpyro
from numpyro import distributions as dist


def model(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""
# What a command needs after the folder.
_MORE = {"interpolate": ("0", "1"), "compare": ("RUN",)}


@pytest.fixture
def trap(tmp_path) -> Path:
    """A program that leaves a mark when it is executed."""
    file = tmp_path / "model.py"
    file.write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\ndef model(): pass\n")
    return file


def _of_program(folder: Path, program: Path) -> Path:
    """A run of `taut infer` that names a program, stopped before its end."""
    run = RunFolder.create(folder, ProgramRecipe(str(program)).to_dict())
    structure = {"name": "posterior", "program": str(program)}
    content = {"format": FORMAT, "architecture": structure, "precision": "float32"}
    (run.path / "model.json").write_text(json.dumps(content))
    return run.path


def _complaint(capsys, *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("taut: ")
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("finished", [False, True])
def test_no_command_executes_what_a_folder_names(command, finished, trap, tmp_path, capsys):
    run = _of_program(tmp_path / "run", trap)
    if finished:
        RunFolder(run).write_summary({}, {"kind": "posterior"})
    more = [str(run) if word == "RUN" else word for word in _MORE.get(command, ())]
    if command == "list" or (command == "report" and not finished):  # which tell how far it is
        assert main([command, str(run)]) == 0
    else:
        _complaint(capsys, command, str(run), *more)
    assert not (tmp_path / "executed").exists()
    if command == "infer":
        _complaint(capsys, "infer", "--config", str(run / "config.toml"))
        assert not (tmp_path / "executed").exists()


def test_resume_asks_for_the_program_and_runs_the_one_that_is_named(
    trap, tmp_path, capsys, monkeypatch
):
    run, seen = _of_program(tmp_path / "run", trap), []
    monkeypatch.setattr("taut.cli.infer.run_infer", lambda *given, **_: seen.append(given))
    line = _complaint(capsys, "resume", str(run))
    assert f"Try `taut resume {run} {trap}`, if you trust that file." in line
    assert main(["resume", str(run), "mine.py:other"]) == 0
    assert seen == [(ProgramRecipe("mine.py:other"), run)]
    odd = _of_program(tmp_path / "odd", Path("a b;\x1b[31m\nrm.py"))
    line = _complaint(capsys, "resume", str(odd))
    assert shlex.quote("a b;\\x1b[31m\\nrm.py") in line


def test_a_fit_has_no_program(trap, tmp_path, capsys):
    run = RunFolder.create(tmp_path / "run", Recipe().to_dict())
    assert "expected nothing after the folder of a fit" in _complaint(
        capsys, "resume", str(run.path), str(trap)
    )


@pytest.mark.parametrize("name", ["figures", "checkpoints", ".taut.new"])
def test_a_folder_within_a_run_is_no_way_out_of_it(name, tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    run = tmp_path / "run"
    fitted = taut.em(rows, components=1)
    fitted.save(run)
    elsewhere = tmp_path / "elsewhere"
    (run / "figures").rename(elsewhere)
    (elsewhere / "step-000000001.safetensors").write_text("mine")
    (run / name).symlink_to(elsewhere)
    assert f"{name} to be a folder within the run, got a link" in _complaint(
        capsys, "evaluate", str(run)
    )
    assert [p.name for p in elsewhere.iterdir()] == ["step-000000001.safetensors"]


def test_a_run_that_moves_with_its_data_knows_them_again(tmp_path, monkeypatch, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    (tmp_path / "before").mkdir()
    monkeypatch.chdir(tmp_path / "before")
    np.save("rows.npy", rows)
    taut.em("rows.npy", components=1, out="runs/one")
    assert main(["encode", "runs/one", "--out", str(tmp_path / "z.npy")]) == 0
    z = np.load(tmp_path / "z.npy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before").rename(tmp_path / "after")
    capsys.readouterr()
    assert main(["encode", "after/runs/one", "--out", str(tmp_path / "z.npy")]) == 0
    moved = tmp_path / "after" / "rows.npy"
    assert f"note: rows.npy is not there; {moved} is taken" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), z)
    np.save(moved, rows + 1)  # of that name, but not the data
    assert "as it was when the run was fitted" in _complaint_last(
        capsys, "encode", "after/runs/one"
    )


@pytest.fixture
def cut_short(monkeypatch):
    """A command that is stopped before it writes its summary."""

    def stopped(*words: str) -> None:
        def stop(*arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(RunFolder, "write_summary", stop)
            assert main([*words]) == 130

    return stopped


@pytest.mark.parametrize("kind", ["em", "infer"])
def test_a_run_that_was_stopped_goes_on_where_it_was_moved(
    kind, cut_short, tmp_path, monkeypatch, capsys
):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    monkeypatch.chdir(before)
    np.save("rows.npy", np.random.default_rng(0).normal(size=(40, 2)))
    Path("data.json").write_text(json.dumps({"y": [0.3, 1.9]}))
    Path("model.py").write_text(NORMAL)
    words, data = {
        "em": (["em", "rows.npy", "--components", "1"], "rows.npy"),
        "infer": (["infer", "model.py", "--data", "data.json", "--guide", "laplace"], "data.json"),
    }[kind]
    cut_short(*words, "--out", "run")
    monkeypatch.chdir(tmp_path)
    before.rename(after)
    program = ["after/model.py"] if kind == "infer" else []
    capsys.readouterr()
    assert main(["resume", "after/run", *program, "--json"]) == 0
    note = f"note: {data} is not there; {after / data} is taken"
    assert note in capsys.readouterr().err
    named = RunFolder(after / "run").read_config()["data"]
    assert str(after / data) == (named["source"] if kind == "em" else named)
    after.rename(tmp_path / "later")
    program = ["later/model.py"] if kind == "infer" else []
    assert main(["figures", "later/run", *program]) == 0


def test_other_data_of_that_name_are_not_gone_on_with(cut_short, tmp_path, monkeypatch, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 2))
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", rows)
    cut_short("em", "rows.npy", "--components", "1", "--out", "run")
    Path("rows.npy").rename("run/rows.npy")
    np.save("run/rows.npy", rows + 1e-9)
    assert "expected the data and options that the run began with, got others" in _complaint_last(
        capsys, "resume", "run"
    )


def test_data_count_to_their_last_bit(cut_short, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(NORMAL)
    Path("data.json").write_text(json.dumps({"y": [0.3, 1.9]}))
    words = ["infer", "model.py", "--data", "data.json", "--guide", "laplace", "--num-draws", "100"]
    cut_short(*words, "--out", "run")
    Path("data.json").write_text(json.dumps({"y": [0.3, 1.9 + 1e-12]}))
    assert "that the run began with, got others" in _complaint(capsys, "resume", "run", "model.py")


def _complaint_last(capsys, *words: str) -> str:
    """The complaint after a note."""
    capsys.readouterr()
    assert main([*words]) == 2
    note, line = capsys.readouterr().err.splitlines()
    assert note.startswith("note: ")
    return line


def test_data_that_a_program_does_not_take_are_named(tmp_path, capsys):
    (tmp_path / "model.py").write_text("def model(y):\n    pass\n")
    (tmp_path / "stan.json").write_text(json.dumps({"N": 1, "K": 2, "y": [0.5]}))
    recipe = ProgramRecipe(data=str(tmp_path / "stan.json"))
    assert program_data(recipe, load_program(str(tmp_path / "model.py"))) == {"y": [0.5]}
    assert "note: the program does not take N, K of " in capsys.readouterr().err
    with pytest.raises(taut.InputError, match=r"data that the program takes, got 'N'"):
        taut.infer(load_program(str(tmp_path / "model.py")), data={"N": 1, "y": [0.5]})
