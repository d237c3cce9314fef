"""Commands that do not look at labels take rows of classes that the fit has not seen, or of none."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main

RNG = np.random.default_rng(0)
N = 60
FRAME = pl.DataFrame(RNG.normal(size=(N, 3)).round(6), schema=["a", "b", "c"])
CLASSES = {"text": ["high", "low", "middling"], "numbers": ["007", "010", "011"]}
ROLES = {"label": {"label": "y"}, "target": {"target": "y"}}
COMMANDS = {
    "score": ["score", "RUN", "NEW"],
    "impute": ["impute", "RUN", "NEW"],
    "encode": ["encode", "RUN", "NEW"],
    "evaluate": ["evaluate", "RUN", "--data", "NEW"],
}


@pytest.fixture(scope="module", params=[(role, kind) for role in ROLES for kind in CLASSES])
def run(request, tmp_path_factory) -> Path:
    """A run with `known.csv` beside it, and `new.csv` of the same rows with other labels."""
    role, kind = request.param
    folder = tmp_path_factory.mktemp("unseen")
    first, second, new = CLASSES[kind]
    data = FRAME.with_columns(y=pl.Series([first, second] * (N // 2)))
    taut.em(
        taut.load_data(data, **ROLES[role]),
        model="ppca",
        components=1,
        max_iterations=2,
        out=folder / "run",
    )
    rows = FRAME[:20] + 0.5
    rows.with_columns(y=pl.Series([first, second] * 10)).write_csv(folder / "known.csv")
    rows.with_columns(y=pl.Series([new, second, *[first, None] * 9])).write_csv(folder / "new.csv")
    return folder / "run"


@pytest.mark.parametrize("command", COMMANDS)
def test_they_are_read_as_none(run, command, capsys):
    printed = {}
    for name in ("known", "new"):
        places = {"RUN": str(run), "NEW": str(run.parent / f"{name}.csv")}
        assert main([*(places.get(word, word) for word in COMMANDS[command]), "--json"]) == 0
        printed[name] = capsys.readouterr()
    assert "1 label of classes that the fit has not seen, read as none" in printed["new"].err
    assert "has not seen" not in printed["known"].err


def test_their_scores_are_those_of_the_cells(run, tmp_path):
    found = {}
    for name in ("known", "new"):
        out = tmp_path / f"{name}.csv"
        assert main(["score", str(run), str(run.parent / f"{name}.csv"), "--out", str(out)]) == 0
        found[name] = pl.read_csv(out)
    assert found["new"]["score"].to_list() == found["known"]["score"].to_list()
    missing = found["new"]["label"].is_null().to_list()
    assert missing == [True, False, *[False, True] * 9]
    assert found["known"]["label"].null_count() == 0
