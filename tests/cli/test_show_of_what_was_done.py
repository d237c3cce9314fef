"""`taut show` tells the choices that a fit made use of."""

import json
import tomllib

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.report.html.reported import reported

RNG = np.random.default_rng(0)
FRAME = pl.DataFrame({"a": RNG.normal(size=60), "b": RNG.normal(size=60), "y": ["m", "f"] * 30})


def _shown(capsys, run, *flags):
    assert main(["show", str(run), *flags]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("target", "head"), [(None, {}), ("y", {"head": "logistic"})])
@pytest.mark.parametrize("inference", ["em", "online-em"])
def test_em_has_no_optimizer_and_runs_in_float64(tmp_path, capsys, inference, target, head):
    run, asked = tmp_path / "run", {"target": target} if target else {"label": "y"}
    taut.fit(FRAME, model="ppca", components=1, inference=inference, out=run, **asked, **head)
    config = json.loads(_shown(capsys, run, "--json"))["config"]
    assert config["training"] == {"precision": "float64", **head}
    assert config["inference"]["name"] == inference
    assert "evidence" not in config
    text = _shown(capsys, run)
    assert "training.precision float64" in " ".join(text.split())
    assert "training.optimizer" not in text
    assert tomllib.loads(reported(run).config) == {k: v for k, v in config.items() if v is not None}


def test_a_fit_by_steps_tells_its_optimizer_and_its_precision(tmp_path, capsys):
    run = tmp_path / "run"
    taut.fit(FRAME, label="y", latent_dim=1, hidden=(4,), epochs=1, optimizer="sgd", out=run)
    config = json.loads(_shown(capsys, run, "--json"))["config"]
    assert (config["training"]["optimizer"], config["training"]["precision"]) == ("sgd", "float32")
    assert config["evidence"] == {"evidence_particles": 1000}
