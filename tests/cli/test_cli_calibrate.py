"""`taut calibrate` as a user drives it."""

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from undrawn_figures import without_figures

import taut
from taut.cli.main import main
from taut.report.html.report import report_text
from taut.report.html.reported import reported
from taut.runs.own_files import own_files


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrate") / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(60, 3)) @ np.diag([3.0, 1.0, 0.5]))
    return path


@pytest.fixture(scope="module")
def run(rows):
    """A finished run whose guide is the posterior."""
    folder = rows.parent / "exact"
    words = ["em", str(rows), "--model", "ppca", "--components", "2", "--out", str(folder)]
    with without_figures():
        assert main(words) == 0
    return folder


def test_an_exact_posterior_passes(run, capsys):
    assert main(["calibrate", str(run), "--rows", "100", "--draws", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["calibrated"] is True
    assert set(found["quantities"]) == {"z[0]", "z[1]", "log p(x given z)", "log p(x, z)"}
    assert all(q["words"] == "calibrated" for q in found["quantities"].values())
    assert {run / "figures" / "calibration.png", run / "calibration.json"} <= set(own_files(run))
    shown = report_text([reported(run)])
    assert "On 100 simulated rows" in shown
    assert all(name in shown for name in found["quantities"])
    assert main(["calibrate", str(run), "--rows", "100", "--draws", "20"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Verdict: calibrated" in out
    assert "simulated from the model, not on those it was fitted to" in out


def test_a_run_that_climbed_another_objective_says_so(rows, capsys):
    folder = rows.parent / "beta"
    fitted = taut.fit(
        np.load(rows), model=taut.VAE(latent_dim=2, hidden=(4,)), epochs=1, evidence_particles=2,
        bound=taut.ELBO(beta=4.0),
    )  # fmt: skip
    fitted.save(folder)
    found = fitted.calibrate(rows=60, draws=10)
    assert any("beta = 4" in note for note in found.notes)
    assert main(["calibrate", str(folder), "--rows", "60", "--draws", "10"]) == 0
    assert "beta = 4" in capsys.readouterr().out


def test_exact_inference_leaves_nothing_to_judge(rows, capsys):
    folder = rows.parent / "flow"
    layers = taut.Flow(layers="planar:1")
    taut.fit(np.load(rows), model=layers, epochs=1, evidence_particles=2).save(folder)
    assert main(["calibrate", str(folder)]) == 2
    err = capsys.readouterr().err
    assert "nothing to judge" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--rows", "10"], "rows: expected at least 50 simulated rows"),
        (["--draws", "0"], "draws: expected at least one draw a row, got 0. Try 100."),
    ],
)
def test_one_line_for_what_cannot_be_judged(run, capsys, options, line):
    assert main(["calibrate", str(run), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"taut: {line}")


PROGRAM = """
import numpyro, numpyro.distributions as dist

def model(y):
    m = numpyro.sample("m", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(m, 1.0).expand((3,)).to_event(1), obs=y)
"""


@pytest.mark.usefixtures("undrawn")
def test_a_program_is_fitted_anew_and_named_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "normal.py").write_text(PROGRAM)
    (tmp_path / "data.json").write_text('{"y": [1.0, 2.0, 0.5]}')
    few = ["--guide", "laplace", "--refine", "none", "--num-starts", "1", "--num-draws", "500"]
    assert main(["infer", "normal.py", "--data", "data.json", "--out", "run", *few]) == 0
    assert main(["calibrate", "run"]) == 2
    assert "Try `taut calibrate run normal.py`, if you trust" in capsys.readouterr().err
    assert main(["calibrate", "run", "normal.py", "--refits", "50", "--draws", "9", "--json"]) == 0
    told = capsys.readouterr()
    assert "50 refits take " in told.err
    found = json.loads(told.out)
    assert found["calibrated"] is True
    assert set(found["quantities"]) == {"m", "log p(x given z)", "log p(x, z)"}
    assert main(["calibrate", "run", "normal.py", "--refits", "50", "--seconds", "0.0001"]) == 2
    assert "Try --seconds " in capsys.readouterr().err
    # The same run and its program: the log-evidence, with an end above it.
    assert main(["evaluate", "run", "normal.py"]) == 0
    told = capsys.readouterr()
    assert "20 refits take " in told.err
    assert "calibrated on simulated" in " ".join(told.out.split())
    assert "± rows" not in told.out  # a program has none
    assert "Means over" not in told.out
    found = json.loads((tmp_path / "run" / "bracket.json").read_text())
    known = multivariate_normal(np.zeros(3), np.eye(3) + 4.0).logpdf([1.0, 2.0, 0.5])
    assert abs(found["lower"]["value"] - known) < 0.1
    assert found["upper"]["side"] == "none"
    assert known - 1e-6 < found["upper"]["value"] < known + 0.3
    assert main(["evaluate", "run", "normal.py", "--method", "smc"]) == 2
    assert "leaving out --method" in capsys.readouterr().err


def test_a_fit_has_no_program(run, capsys):
    for command in ("calibrate", "evaluate"):
        assert main([command, str(run), "normal.py"]) == 2
        assert "which has no program" in capsys.readouterr().err
