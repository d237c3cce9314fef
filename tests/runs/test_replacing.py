"""A run that is replaced stays whole until the new one is, whatever stops the command."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpyro
import pytest
from numpyro import distributions as dist

import taut
from taut.cli.main import main
from taut.core import Estimate, InputError, RunError
from taut.runs import LOCK, RunFolder
from taut.runs.replacing import is_between

ROWS = np.random.default_rng(0).normal(size=(60, 3))
VAE = ["--latent-dim", "1", "--hidden", "3", "--evidence-particles", "2", "--json"]


def normal(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def _files(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.fixture
def old(tmp_path) -> Path:
    taut.em(ROWS, components=1, restarts=1, out=tmp_path / "run")
    return tmp_path / "run"


def test_a_command_that_is_refused_or_fails_leaves_the_old_run(old, monkeypatch):
    before = _files(old)

    def fails(*arguments, **keywords):
        raise RunError("a finite bound", "none", "a smaller learning rate")

    monkeypatch.setattr("taut.api.amortized.train", fails)
    shape = taut.VAE(latent_dim=1, hidden=(3,))
    with pytest.raises(RunError):
        taut.fit(ROWS, model=shape, epochs=3, out=old, force=True)
    with pytest.raises(InputError):
        taut.em(ROWS[:, :1] * np.array([[1.0, np.inf, 1.0]]), components=2, out=old, force=True)
    monkeypatch.setattr("taut.api.inferring.fit_posterior", fails)
    with pytest.raises(RunError):
        taut.infer(normal, data={"y": np.array([0.5])}, out=old, force=True)
    assert _files(old) == before


def test_a_run_that_replaces_another_goes_on_where_it_was_stopped(
    old, tmp_path, monkeypatch, capsys
):
    np.save(tmp_path / "rows.npy", ROWS)
    words = ["fit", str(tmp_path / "rows.npy"), *VAE, "--epochs", "4", "--checkpoint-every", "1"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    before, append = _files(old), RunFolder.append_steps

    def stopped(run, first, *more):
        append(run, first, *more)
        if first >= 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "append_steps", stopped)
        assert main([*words, "--out", str(old), "--force"]) == 130
    assert f"`taut resume {old}` goes on" in capsys.readouterr().err
    found = _files(old)
    assert {name: found[name] for name in before} == before
    assert taut.load(old).architecture.name == "gmm"
    assert main(["resume", str(old), "--json"]) == 0
    assert taut.load(old).architecture.name == "vae"
    for name in ("model.safetensors", "rows.safetensors", "metrics.jsonl"):
        assert (old / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert _files(old).keys() == _files(tmp_path / "whole").keys()
    assert not [p for p in old.iterdir() if p.name.startswith(".")]


def _begun_and_stopped(run: Path, settings: dict, by: BaseException) -> None:
    with RunFolder.for_writing(run, force=True):
        RunFolder.create(run, settings, force=True)
        raise by


def test_one_that_was_stopped_gives_way_to_the_next(old):
    before = _files(old)
    with pytest.raises(KeyboardInterrupt):
        _begun_and_stopped(old, {"a": 1}, KeyboardInterrupt())
    assert RunFolder.to_resume(old).read_config() == {"a": 1}
    with pytest.raises(InputError, match="holds a run"), RunFolder.for_writing(old):
        pass
    with pytest.raises(InputError):
        _begun_and_stopped(old, {"a": 2}, InputError("this", "that", "another"))
    assert _files(old) == before
    assert RunFolder.to_resume(old).path == old


class Killed(BaseException):
    """From the call on at which it is raised, no call does anything."""


@contextmanager
def killed_at(number: int, monkeypatch) -> Iterator[list[str]]:
    """The calls that change a folder, of which that of this number and all later ones are not made."""
    made: list[str] = []

    def counted(name):
        real = getattr(os, name)

        def call(*arguments, **keywords):
            if Path(arguments[0]).name == LOCK:  # which the system takes back
                return real(*arguments, **keywords)
            made.append(name)
            if len(made) > number:
                raise Killed
            return real(*arguments, **keywords)

        return call

    with monkeypatch.context() as patched:
        for name in ("mkdir", "unlink", "replace", "rename", "rmdir"):
            patched.setattr(os, name, counted(name))
        yield made
    monkeypatch.setattr("taut.core.files.began", lambda pid: "gone")  # its half-written files go


def _write(path: Path, value: float, *, force: bool = False) -> None:
    with RunFolder.for_writing(path, force=force):
        run = RunFolder.create(path, {"value": value}, force=force)
        run.append_steps(0, {"bound": np.array([value])}, None)
        run.checkpoints.mkdir()
        for name in ("model.json", "checkpoints/step-000000001.safetensors"):
            (run.path / name).write_text(str(value))
        run.write_summary({"elbo": Estimate.from_rows([value], side="lower")}, {})


def test_a_kill_at_any_moment_leaves_the_old_run_or_the_new_one(tmp_path, monkeypatch):
    """Never a mixture; and what was begun is finished by the next command, with nothing left behind."""
    plain, new, run = (tmp_path / name for name in ("plain", "new", "run"))
    _write(plain, 1.0)
    (plain / "loadings.csv").write_text("only the old one has it")
    (plain / "mine.txt").write_text("mine")
    _write(new, 2.0)
    (new / "mine.txt").write_text("mine")
    old, whole, number, reached = _files(plain), _files(new), 0, set()
    while True:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(plain, run)
        with killed_at(number, monkeypatch) as made:
            try:
                _write(run, 2.0, force=True)
                break
            except Killed:
                pass
        assert len(made) > number
        if is_between(run):
            with pytest.raises(InputError, match=f"Try `taut resume {run}`"):
                RunFolder.open(run)
        else:
            RunFolder.open(run).read_config()
        found = RunFolder.to_resume(run)
        if found.path != run:  # not whole, and the old one as it was
            within = f"{found.path.name}/"
            assert {n: c for n, c in _files(run).items() if not n.startswith(within)} == old
            reached.add("begun")
        else:
            assert _files(run) in (old, whole)
            assert not (run / ".taut.new").exists()
            reached.add("old" if _files(run) == old else "new")
        number += 1
    assert _files(run) == whole
    assert reached == {"old", "begun", "new"}
    assert number > 20
