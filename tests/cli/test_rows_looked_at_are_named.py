"""What a command looked at is named by its part of the run's data, whatever their file is called."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main

RNG = np.random.default_rng(2)
FRAME = pl.DataFrame((RNG.normal(size=(120, 2)) @ [[1.0, 0.8], [0.0, 0.6]]).round(4), ["a", "b"])
COMMANDS = {
    "evaluate": (["--num-particles", "20", "--method", "monte-carlo"], "evaluation.json"),
    "audit": (["--rows", "4"], "audit.json"),
    "fidelity": ([], "fidelity.json"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run on `t.csv`, with a copy of it and a file of other rows beside it."""
    folder = tmp_path_factory.mktemp("named")
    for name in ("t.csv", "copy.csv"):
        FRAME.write_csv(folder / name)
    FRAME.with_columns(pl.col("a") + 1).write_csv(folder / "other.csv")
    data = taut.load_data(str(folder / "t.csv"))
    small = {"latent_dim": 1, "hidden": (4,), "epochs": 1, "evidence_particles": 2}
    taut.fit(data, **small, out=folder / "run")
    return folder / "run"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", [None, "t.csv", "copy.csv", "other.csv"])
def test_rows_of_the_run_are_named_by_their_part(command, file, run, capsys):
    options, kept = COMMANDS[command]
    source = None if file is None else str(run.parent / file)
    assert main([command, str(run), *options, *([] if source is None else ["--data", source])]) == 0
    said = source if file == "other.csv" else "test"
    assert json.loads((run / kept).read_text())["of"] == said
    noted = "its test rows are taken" in capsys.readouterr().err
    assert noted == (file in ("t.csv", "copy.csv"))


def test_a_part_that_was_asked_for_is_named(run):
    options, kept = COMMANDS["evaluate"]
    assert main(["evaluate", str(run), *options, "--split", "validation"]) == 0
    assert json.loads((run / kept).read_text())["of"] == "validation"
