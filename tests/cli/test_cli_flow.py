"""`--model flow` on the command line: fit, evaluate, sample, encode, and what it says at once."""

import json

import numpy as np
import polars as pl
import pytest

from taut.cli.main import main
from taut.core import InputError
from taut.recipe import recipe_of


def test_a_table_from_fit_to_samples(tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(60, 2)) * [1.0, 50.0]
    pl.DataFrame(rows, schema=["a", "b"]).write_csv(tmp_path / "rows.csv")
    run = tmp_path / "run"
    options = ["--model", "flow", "--layers", "maf:2", "--hidden", "4", "--epochs", "1"]
    assert main(["fit", str(tmp_path / "rows.csv"), "--out", str(run), *options]) == 0
    out, err = capsys.readouterr()
    assert "exact" in out
    assert err.strip() == "note: a draw takes 6 passes one after the other through 4 layers"
    names = {p.name for p in (run / "figures").iterdir()}
    assert names == {"learning-curves.png", "samples.png", "interpolation.png", "latents.png"}

    assert main(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["importance"]["log_evidence"]["side"] == "exact"
    assert found["figure"] is None
    assert "monte-carlo" not in found
    assert main(["sample", str(run), "-n", "3", "--out", str(tmp_path / "drawn.csv")]) == 0
    assert "a draw takes 6 passes" in capsys.readouterr().err
    assert pl.read_csv(tmp_path / "drawn.csv").columns == ["a", "b"]
    assert main(["encode", str(run), "--out", str(tmp_path / "z.npy")]) == 0
    assert np.load(tmp_path / "z.npy").shape == (6, 2)


def test_integers_without_dequantization_are_refused_with_the_remedy(tmp_path, capsys):
    assert main(["fit", "digits", "--model", "flow", "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (
        "taut: layers: expected a first layer that makes reals of whole numbers, at which a density has "
        "no upper bound, got 'spline-coupling' on grey data. Try --layers "
        "dequantize,logit,spline-coupling:8.\n"
    )
    assert not (tmp_path / "run").exists()


def test_options_reach_the_flow():
    given = {
        "model": "flow",
        "layers": "maf:5",
        "hidden": "8",
        "activation": "tanh",
        "bins": 4,
        "box": 3.0,
        "prior": "mixture:2",
    }
    assert recipe_of(given).model.to_dict() == {
        "name": "flow", "layers": "maf:5", "hidden": [8], "activation": "tanh", "bins": 4, "box": 3.0,
        "prior": "mixture:2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "vae", "layers": "maf"}, '`layers` with model="flow", got model="vae"'),
        (
            {"model": "flow", "likelihood": "gaussian"},
            '`likelihood` with model="vae" or ladder',
        ),
        ({"model": "flow", "scale": "datum"}, '`scale` with model="vae" or ladder'),
        ({"model": "flow", "latent_dim": 2}, '`latent_dim` with model="vae"'),
        ({"model": "flow", "guide": "iaf"}, '`guide` with model="vae"'),
    ],
)
def test_options_of_another_model_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        recipe_of(options)
