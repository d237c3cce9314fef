"""A run that is stopped, at whatever moment, ends with the bytes of one that was never stopped."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import taut
from taut.bounds import ELBO
from taut.cli.main import main
from taut.core import InputError
from taut.gradients import Reparameterized
from taut.inference.amortized import averaged, joint
from taut.runs import RunFolder, restore_checkpoint
from taut.training import TrainingOptions, TrainingState, start

OPTIONS = {
    "hidden": "8",
    "latent-dim": "2",
    "epochs": "30",
    "checkpoint-every": "25",
    "validate-every": "40",
    "ema": "0.99",
    "learning-rate-schedule": "cosine",
    "learning-rate-warmup": "10",
    "evidence-particles": "2",
}
STEPS = 330  # 1437 training rows, 11 batches an epoch
FIT = ["fit", "digits", *(word for name, value in OPTIONS.items() for word in (f"--{name}", value))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    assert main([*FIT, "--out", str(path), "--json"]) == 0
    return path


def _steps(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _same_result(run: Path, whole: Path) -> None:
    assert [record["step"] for record in _steps(run)] == list(range(STEPS))
    assert _steps(run) == _steps(whole)
    for name in ("model.safetensors", "rows.safetensors"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


def _killed_after(lines: int, run: Path) -> None:
    """`taut fit` in a process of its own, killed once it has written so many steps."""
    code = "import sys; from taut.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *FIT, "--out", str(run), "--json"]
    metrics, complaints = run / "metrics.jsonl", run.parent / "stderr"
    begun = run / "config.toml"
    with complaints.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        while process.poll() is None:
            if begun.is_file() and metrics.read_bytes().count(b"\n") >= lines:
                process.kill()
                break
            time.sleep(0.0005)
        assert process.wait(60) == -signal.SIGKILL, complaints.read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_kill_at_any_moment_changes_no_byte(whole, tmp_path, capsys):
    """Between two checkpoints; a stop in the middle of a write is in the tests below."""
    run = tmp_path / "run"
    _killed_after(random.Random(0).randrange(STEPS), run)
    assert main(["resume", str(run), "--json"]) == 0
    _same_result(run, whole)


@pytest.mark.usefixtures("undrawn")
def test_a_kill_before_the_first_step_leaves_a_run_to_resume(whole, tmp_path, capsys):
    run = tmp_path / "run"
    _killed_after(0, run)
    assert main(["resume", str(run), "--json"]) == 0
    _same_result(run, whole)


class Stop(Exception):
    """What the disk does in these tests."""


def _fails_at(call: int, name: str, error: Exception, monkeypatch) -> None:
    real, calls = getattr(os, name), iter(range(1, 10**6))

    def sometimes(*arguments, **options):
        if next(calls) == call:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, sometimes)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("call", "name"), [(4, "fsync"), (9, "replace")])
def test_a_stop_in_the_middle_of_a_write_changes_no_byte(call, name, whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        _fails_at(call, name, Stop(), patch)
        with pytest.raises(Stop):
            main([*FIT, "--out", str(run), "--json"])
    assert main(["resume", str(run), "--json"]) == 0
    _same_result(run, whole)


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_leaves_the_earlier_checkpoint(whole, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        # Renamed before: metrics.jsonl, config.toml, two checkpoints.
        _fails_at(5, "replace", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), patch)
        assert main([*FIT, "--out", str(run), "--json"]) == 1
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"taut: {run}/checkpoints/step-000000075.safetensors: expected room for")
    assert "No space left on device" in line
    assert f"then `taut resume {run}`" in line
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["step-000000025.safetensors", "step-000000050.safetensors"]
    assert main(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["notes"][0] == "resumed from step 50"
    _same_result(run, whole)


@pytest.fixture
def stopped(tmp_path, monkeypatch) -> Path:
    """A run that ended when its fifth file was to be renamed: checkpoints at 25 and 50."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        _fails_at(5, "replace", Stop(), patch)
        with pytest.raises(Stop):
            main([*FIT, "--out", str(run), "--json"])
    return run


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_checkpoint_gives_way_to_the_one_before(stopped, whole, capsys):
    newest = stopped / "checkpoints" / "step-000000050.safetensors"
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)
    assert main(["resume", str(stopped), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts["notes"][0] == (
        "step-000000050.safetensors is damaged (its checksum does not hold); "
        "the one before it is used"
    )
    assert facts["notes"][1] == "resumed from step 25"
    _same_result(stopped, whole)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("length", [0, 5, 3000])
def test_so_does_one_that_was_cut_off(length, stopped, whole):
    newest = stopped / "checkpoints" / "step-000000050.safetensors"
    newest.write_bytes(newest.read_bytes()[:length])
    found = restore_checkpoint(stopped / "checkpoints", _state(), fingerprint=_fingerprint(stopped))
    assert found.state is not None
    assert int(found.state.step) == 25
    assert len(found.notes) == 1
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(_state()), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype


def _header(run: Path) -> dict[str, str]:
    content = (run / "checkpoints" / "step-000000025.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def _fingerprint(run: Path) -> str:
    return _header(run)["fingerprint"]


def _state() -> TrainingState:
    schema = taut.load_data("digits").schema
    pair = taut.VAE(hidden=(8,), latent_dim=2).init(schema, jax.random.key(0))
    algorithm = joint(
        pair, ELBO(), Reparameterized(), TrainingOptions().transformation(lambda step: 1e-3),
        example=taut.Datum(np.zeros((8, 8), np.float32)), key=jax.random.key(0),
    )  # fmt: skip
    return start(averaged(algorithm, 0.99))


def test_other_options_or_data_are_not_gone_on_with(stopped, tmp_path, capsys):
    config = stopped / "config.toml"
    text = config.read_text()
    config.write_text(text.replace("epochs = 30", "epochs = 31"))
    assert main(["resume", str(stopped)]) == 2
    assert "expected the data and options that the run began with" in capsys.readouterr().err
    config.write_text(text.replace("epochs = 30", "epochs = "))
    assert main(["resume", str(stopped)]) == 2
    assert "config.toml: expected TOML" in capsys.readouterr().err
    config.write_text(text)
    with pytest.raises(InputError, match=r"expected \w+ = .*, as the run began, got .*a new run"):
        taut.fit(np.zeros((20, 3), np.float32), out=stopped, resume=True)


def test_missing_steps_are_noticed(stopped, capsys):
    metrics = stopped / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[3:]))
    assert main(["resume", str(stopped)]) == 2
    assert "a line for each of the 50 steps before the checkpoint" in capsys.readouterr().err


def test_a_finished_run_is_shown(whole, capsys):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert main(["resume", str(whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["steps"] == STEPS
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_what_is_not_a_run_cannot_be_resumed(tmp_path, capsys):
    assert main(["resume", str(tmp_path / "nowhere")]) == 2
    assert "expected a run folder, got nothing there" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected the run folder to go on with"):
        taut.fit("digits", resume=True)


@pytest.mark.usefixtures("undrawn")
def test_ctrl_c_saves_where_it_was(tmp_path, monkeypatch, capsys):
    """The first interrupt ends the run after its dispatch, with a checkpoint of that very step."""
    run = tmp_path / "run"
    append = RunFolder.append_steps

    def press(self, first, metrics, validation):
        append(self, first, metrics, validation)
        if first > 60:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_steps", press)
        assert main([*FIT, "--out", str(run), "--json"]) == 130
    steps = len(_steps(run))
    line = capsys.readouterr().err.strip()
    assert line == f"taut: interrupted after {steps} steps; `taut resume {run}` goes on"
    newest = max((run / "checkpoints").iterdir()).name
    assert newest == f"step-{steps:09d}.safetensors"
    assert main(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["notes"][0] == f"resumed from step {steps}"


def _raises(*_: object, **__: object) -> None:
    raise Stop


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_stopped_while_it_was_measured(whole, tmp_path, monkeypatch, capsys):
    """Its model is there to be used; it goes on, also with other draws, without training again."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("taut.api.amortized.measure", _raises)
        with pytest.raises(Stop):
            main([*FIT, "--out", str(run), "--json"])
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    np.testing.assert_array_equal(taut.load(run).sample(3), taut.load(whole).sample(3))
    assert main(["encode", str(run), "--out", str(tmp_path / "z.npy")]) == 0
    for command in (["show", str(run)], ["compare", str(whole), str(run)], ["figures", str(run)]):
        capsys.readouterr()
        assert main(command) == 2
        assert f"got one whose model was not measured yet. Try `taut resume {run}`" in (
            capsys.readouterr().err
        )
    with monkeypatch.context() as patch:
        patch.setattr("taut.training.loop.compiled_steps", lambda _: _raises)
        assert main(["resume", str(run), "--evidence-particles", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["particles"] == 3
    assert "evidence_particles = 3" in (run / "config.toml").read_text()
    assert _steps(run) == _steps(whole)
    assert main(["resume", str(run), "--evidence-particles", "4"]) == 2
    assert f"Try `taut evaluate {run} --num-particles 4`" in capsys.readouterr().err


def test_a_run_that_was_stopped_while_it_was_drawn(whole, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("taut.report.draw_fit.draw_fit", _raises)
        with pytest.raises(Stop):
            main([*FIT, "--out", str(run), "--json"])
    assert list((run / "figures").iterdir()) == []
    assert main(["resume", str(run), "--json"]) == 0
    drawn = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in (whole / "figures").iterdir()}
    (run / ".taut.lock").write_text("{}")  # of a process that was killed before its very end
    assert main(["resume", str(run)]) == 0
    assert not (run / ".taut.lock").exists()
    (run / "figures" / "samples.png").unlink()
    capsys.readouterr()
    assert main(["figures", str(run), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["figures"]) == len(drawn)
    assert drawn == {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
