"""`taut evaluate --method`: one estimator by its name, and what is printed of an upper end."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import taut
from taut.cli.evaluate import as_json
from taut.cli.main import main
from taut.core import CALIBRATED
from taut.report.html.report import report_text
from taut.report.html.reported import reported
from taut.runs import KeptRows
from taut.runs.own_files import own_files


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    data, folder = str(folder / "x.npy"), folder / "run"
    taut.fit(data, model=taut.VAE(latent_dim=1, hidden=(3,)), epochs=1, batch_size=20, out=folder)
    return folder


def test_a_method_that_is_named_runs_alone(run, capsys):
    asked = ["evaluate", str(run), "--method", "quasi-monte-carlo", "--num-particles", "64"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["quasi-monte-carlo"]["num_particles"] == 64
    assert "importance" not in found
    assert run / "evaluation.json" in own_files(run)  # another run does not keep it
    shown = report_text([reported(run)])
    assert "Evaluation of 6 rows, test" in shown
    assert str(found["quasi-monte-carlo"]["num_particles"]) in shown
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "quasi-monte-carlo: randomised quasi-Monte Carlo through the guide, -" in printed
    assert "lower bounds in expectation: of two" not in printed


def test_a_method_without_a_number_of_draws_has_its_own(run, capsys):
    assert main(["evaluate", str(run), "--method", "quasi-monte-carlo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["quasi-monte-carlo"]["num_particles"] == 4096


def test_a_name_that_is_none_is_refused_with_the_nearest(run, capsys):
    assert main(["evaluate", str(run), "--method", "anealed"]) == 2
    assert capsys.readouterr().err.strip().endswith("got 'anealed'. Try 'annealed'.")


def test_a_method_that_is_named_has_no_others_to_stop(run, capsys):
    for flag in ("--seconds", "--precision-nats"):
        assert main(["evaluate", str(run), "--method", "smc", flag, "1"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"taut: {flag[2:]}: expected --method without {flag}")
        assert said.strip().endswith("Try leaving out --method.")
    assert main(["evaluate", str(run), "--precision-nats", "0"]) == 2
    assert "expected a number of nats above 0, got 0.0. Try 0.1." in capsys.readouterr().err


def test_what_stops_it_is_said(run, capsys):
    """Six rows of one latent: any method will do, but not within a millionth of a nat."""
    asked = ["evaluate", str(run), "--num-particles", "200", "--precision-nats", "1e-6"]
    assert main([*asked, "--seconds", "0.001", "--json"]) == 0
    bracket = json.loads(capsys.readouterr().out)["bracket"]
    assert (bracket["stopped"], len(bracket["steps"])) == ("seconds", 1)
    assert main([*asked, "--seconds", "0.001"]) == 0
    assert capsys.readouterr().out.strip().endswith("Stopped: 0.001 s are spent.")


def test_an_upper_end_and_notes_are_in_the_json(run):
    found = taut.load(run).evaluate(np.zeros((4, 3)), num_particles=20)
    plain = as_json(found)
    assert "upper" not in plain
    assert "notes" not in plain
    upper = replace(found.log_evidence, side="none", flags=frozenset({CALIBRATED}))
    plain = as_json(replace(found, upper=upper, notes=("why",)))
    assert plain["upper"]["flags"] == [CALIBRATED]
    assert plain["notes"] == ["why"]


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "--method", "refined", "--num-particles", "64"],
        ["evaluate", "--precision-nats", "1e-6", "--seconds", "0.001"],
        ["calibrate", "--rows", "70", "--draws", "3"],
    ],
)
def test_what_is_interrupted_goes_on_to_the_same_numbers(run, command, monkeypatch, capsys):
    command = [command[0], str(run), *command[1:]]
    made, blocks = KeptRows.made, []

    def counted(self, call, columns):
        blocks.append(call)
        made(self, call, columns)
        if len(blocks) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptRows, "made", counted)
    stop = 1
    assert main(command) == 130
    named = shlex.join(["taut", *command])
    assert capsys.readouterr().err == f"taut: interrupted; `{named}` goes on\n"
    left = f"{command[0]}-*"
    assert list((run / "checkpoints").glob(left))
    stop = 0
    assert main([*command, "--json"]) == 0
    went_on, first = capsys.readouterr().out, blocks[1:]
    assert not list((run / "checkpoints").glob(left))
    blocks.clear()
    assert main([*command, "--json"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "seconds" not in line] == [
        line for line in went_on.splitlines() if "seconds" not in line
    ]
    assert len(first) == len(blocks) - 1
