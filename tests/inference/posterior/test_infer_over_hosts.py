"""Hosts infer as one does, disagree by name, and any number of them goes on where one was lost."""

import inspect
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import infer_hosts_child as child
import numpy as np
import numpyro
import pytest
from numpyro import distributions as dist
from safetensors.numpy import load_file

from taut.api import inferring
from taut.cli.infer import run_infer
from taut.cli.main import main
from taut.inference.posterior import minibatch_vi
from taut.models.program import NumPyroProgram
from taut.runs import stages

pytestmark = pytest.mark.usefixtures("undrawn")


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def by_two_hosts(folder: Path) -> Sequence[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    command = [sys.executable, child.__file__, f"127.0.0.1:{free_port()}"]
    hosts = [
        subprocess.Popen(
            [*command, str(index), str(folder)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for index in (0, 1)
    ]  # fmt: skip
    told = [host.communicate(timeout=300) for host in hosts]
    return [(host.returncode, *words) for host, words in zip(hosts, told, strict=True)]


def same_within_rounding(run: Path, whole: Path) -> None:
    files = [
        sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) for folder in (run, whole)
    ]
    assert files[0] == files[1]
    found, wanted = (load_file(folder / "draws.safetensors") for folder in (run, whole))
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-9 * np.abs(array).max())


def stopped_after(writes: int, recipe: Any, run: Path, monkeypatch) -> None:
    """A run of one process that is stopped once so many stages are kept."""
    save, left = stages.save_state, iter(range(1, writes))

    def saved(*arguments: Any, **options: Any) -> Path:
        path = save(*arguments, **options)
        if next(left, None) is None:
            raise KeyboardInterrupt
        return path

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_state", saved)
        with pytest.raises(KeyboardInterrupt):
            run_infer(recipe, run, json=True)


DIFFERENT = {
    "target": "program (checksum)",
    "data": "data (checksum)",
    "key": "random key",
    "num_draws": "num draws",
}


def test_hosts_infer_as_one_and_go_on_with_what_one_or_two_began(tmp_path, monkeypatch, capsys):
    """Two hosts to the end, on from one host's second stage of steps, and to where one is killed."""
    monkeypatch.setattr(minibatch_vi, "STAGE_STEPS", child.STEPS)
    (tmp_path / "rows.json").write_text(json.dumps(child.ROWS))
    recipe, whole = child.recipe_in(tmp_path), tmp_path / "whole"
    run_infer(recipe, whole, json=True)
    stopped_after(child.LOST_AT, recipe, tmp_path / "stopped", monkeypatch)
    (code, printed, told), (other_code, other_printed, _) = by_two_hosts(tmp_path)
    assert (code, other_code) == (1, -9), told
    assert other_printed == ""
    assert printed.count('"run": ') == 2
    said = [json.loads((tmp_path / f"said-{index}.json").read_text()) for index in (0, 1)]
    assert said[0] == said[1]
    assert said[0]["third"] == child.THIRD
    for name, words in DIFFERENT.items():
        assert f"hosts: expected the same {words} on all hosts, got " in said[0][name]
    assert not (tmp_path / "refused").exists()
    notes = json.loads((tmp_path / "together" / "summary.json").read_text())["facts"]["notes"]
    assert any("batches of 7 rows are filled up to 8 on 2 devices" in note for note in notes)
    assert told.count("\n") == 1, told
    assert "got host 1 of 2 ended without a word. Try `taut resume RUN PROGRAM`" in told
    kept = sorted(path.name for path in (tmp_path / "lost" / "checkpoints").iterdir())
    assert len(kept) == child.LOST_AT
    run_infer(recipe, tmp_path / "lost", resume=True, json=True)
    for name in ("together", "stopped", "lost"):
        same_within_rounding(tmp_path / name, whole)


def grouped(y):
    center = numpyro.sample("center", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        own = numpyro.sample("own", dist.Normal(center, 1.0))
        numpyro.sample("y", dist.Normal(own, 1.0), obs=y)


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("program", [grouped, child.line])
def test_hosts_that_do_not_pay_are_told(program, hosts, monkeypatch):
    """Sums that hosts send each other take longer than what they share, where rows have latents."""
    data = {name: np.asarray(child.ROWS[name]) for name in inspect.signature(program).parameters}
    read, _ = NumPyroProgram.of(program, data, subsample={"rows": 8})
    monkeypatch.setattr(inferring, "num_hosts", lambda: hosts)
    told = [note for note in inferring._shared(read) if "more than one host does not pay" in note]
    assert len(told) == (hosts > 1 and program is grouped)


@pytest.mark.parametrize("command", ["infer", "resume"])
def test_hosts_without_rows_to_share_are_refused_before_they_meet(
    command, tmp_path, monkeypatch, capsys
):
    (tmp_path / "rows.json").write_text(json.dumps(child.ROWS))
    program, run = f"{child.__file__}:line", tmp_path / "run"
    words = [program, "--data", str(tmp_path / "rows.json"), "--out", str(run)]
    if command == "resume":
        with monkeypatch.context() as patch:
            patch.setattr("taut.api.inferring.fit_posterior", _stopped)
            assert main(["infer", *words]) == 130
        words = [str(run), program]
    capsys.readouterr()
    assert main([command, *words, "--hosts", "h:1", "--host-index", "0", "--host-count", "2"]) == 2
    assert capsys.readouterr().err == (
        "taut: hosts: expected --subsample beside --hosts, as hosts share the rows of a minibatch, "
        "got none. Try --subsample rows:1000, or leaving out --hosts.\n"
    )


def _stopped(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
