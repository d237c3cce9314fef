"""A disk that fills up at any write: one message, what was there is whole, and the run can go on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_after

import taut
from taut.cli.main import main
from taut.core import RunError
from taut.runs import RunFolder

ROWS = np.random.default_rng(0).normal(size=(60, 3))


def _files(run: Path) -> dict[str, bytes]:
    timed = ("summary.json", "metrics.jsonl")
    return {
        str(p.relative_to(run)): b"" if p.name in timed else p.read_bytes()
        for p in sorted(run.rglob("*"))
        if p.is_file()
    }


def _em(run: Path, **options) -> None:
    taut.em(ROWS, components=1, restarts=1, out=run, **options)


@pytest.mark.parametrize("replaces", [False, True])
def test_at_any_write_of_a_run(replaces, tmp_path):
    whole, other, run = (tmp_path / name for name in ("whole", "other", "run"))
    _em(whole)
    taut.em(ROWS, components=2, restarts=1, out=other)
    expected, old, number, begun = _files(whole), _files(other), 0, 0
    while True:
        shutil.rmtree(run, ignore_errors=True)
        if replaces:
            shutil.copytree(other, run)
        said = ""
        with full_after(number, tmp_path) as calls:
            try:
                _em(run, force=replaces)
            except RunError as error:
                said = str(error)
            except OSError as error:  # before there was a run
                said = str(error)
                assert not run.exists() if not replaces else _files(run) == old
        if len(calls) <= number:
            break
        assert "No space left on device" in said
        going_on = "then the same call in Python with resume=True" in said
        if going_on and not RunFolder.to_resume(run).is_finished:
            _em(run, resume=True)
            begun += 1
        elif not going_on:
            _em(run, force=replaces)
        assert _files(run) == expected, number
        number += 3 if replaces else 1
    assert begun > (5 if replaces else 20)


@pytest.mark.parametrize("number", [0, 8, 30, 55])
def test_a_command_says_how_to_go_on(number, tmp_path, monkeypatch, capsys):
    """Before the run, at its first files, while it is written, and at its figures."""
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    words = ["em", "rows.npy", "--components", "1", "--out", "run", "--json"]
    with full_after(number, tmp_path) as calls:
        assert main(words) == 1
    assert len(calls) > number
    (line,) = capsys.readouterr().err.splitlines()
    if number < 10:
        assert line.endswith("Try making room, or another --out.")
        assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]
        return
    assert line.endswith("Try making room, then `taut resume run`.")
    assert main(["resume", "run", "--json"]) == 0
    assert main([*words[:-2], "whole", "--json"]) == 0
    assert _files(Path("run")) == _files(Path("whole"))
