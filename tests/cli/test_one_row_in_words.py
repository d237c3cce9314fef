"""What commands print of one row is in the singular."""

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.output import counted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    rows = np.random.default_rng(0).normal(size=(60, 3)).round(2)
    taut.em(rows, model="ppca", components=1, max_iterations=3, out=folder / "run")
    one = {name: [value] for name, value in zip("abc", (0.5, None, 1.5), strict=True)}
    pl.DataFrame(one, schema=dict.fromkeys(one, pl.Float64)).write_csv(folder / "one.csv")
    pl.DataFrame({name: [0.5] for name in "abc"}).write_csv(folder / "whole.csv")
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["encode", "run", "whole.csv"], "latents of 1 row: "),
        (["sample", "run", "-n", "1"], "1 sample: "),
        (["reconstruct", "run", "-n", "1", "--data", "whole.csv"], "1 reconstruction: "),
        (["impute", "run", "one.csv"], "1 missing cell of 1 row filled in: "),
        (["score", "run", "whole.csv"], "1 row scored, "),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_one_is_in_the_singular(words, said, folder, capsys):
    here = [str(folder / w) if (folder / w).exists() else w for w in words]
    assert main([*here, "--out", str(folder / "out.csv")]) == 0
    assert said in capsys.readouterr().out


def test_more_are_in_the_plural_with_thousands_apart():
    assert [counted(n, "row") for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]
