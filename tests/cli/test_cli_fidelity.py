"""`taut fidelity` reads synthetic rows as the rows of the run were read."""

import json

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
FRAME = pl.DataFrame(X.round(4), schema=["a", "b"])
HOLE = pl.Series(np.arange(300) % 6 == 0)


@pytest.mark.parametrize(
    ("mark", "options", "rows"),
    [
        (None, {"missing": "drop-rows"}, 250),
        (-999.0, {"missing": "drop-rows", "missing_codes": (-999.0,)}, 250),
        (-999.0, {"missing_codes": (-999.0,)}, 300),
    ],
    ids=["dropped", "dropped by code", "coded"],
)
def test_holes_of_synthetic_rows_are_what_they_were_at_the_fit(
    mark, options, rows, tmp_path, capsys
):
    frame = FRAME.with_columns(b=pl.when(HOLE).then(pl.lit(mark)).otherwise(pl.col("b")))
    for name in ("t.csv", "s.csv"):
        frame.write_csv(tmp_path / name)
    data = taut.load_data(str(tmp_path / "t.csv"), **options)
    taut.em(data, model="ppca", components=1, max_iterations=5, out=tmp_path / "run")
    capsys.readouterr()
    words = ["fidelity", str(tmp_path / "run"), "--synthetic", str(tmp_path / "s.csv")]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]["synthetic"] == rows
    assert (found["of"], found["synthetic_source"]) == ("test", words[-1])
    assert json.loads((tmp_path / "run" / "fidelity.json").read_text())["of"] == "test"
    assert found["synthetic"]["trend"] > 0.9  # real rows, among which a code would be an outlier
