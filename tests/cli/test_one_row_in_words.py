"""What is said of one row is in the singular: by commands, objects, pages, notes and refusals."""

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import taut
from taut.api.exact_notes import _unseen_values
from taut.architectures import LCA
from taut.cli.main import main
from taut.core import Estimate
from taut.errors import counted, counted_are
from taut.report.html.audited import evaluation
from taut.report.tables import summary_table


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
    others = {"class": "2 classes", "quantity": "2 quantities", "axis": "2 axes"}
    assert {thing: counted(2, thing) for thing in others} == others
    assert [counted_are(n, "row") for n in (1, 2)] == ["1 row is", "2 rows are"]


def test_objects_in_python_say_one_too():
    rows = np.random.default_rng(0).normal(size=(12, 2))
    data = taut.load_data(rows)
    assert repr(data.train[:1]).startswith("Dataset(1 row of ")
    posterior = taut.infer(lambda p: -0.5 * p["a"] ** 2, support={"a": "real"}, num_draws=100)
    assert ", 1 coordinate\n" in repr(posterior)


def test_pages_and_tables_say_one_too(capsys):
    one = Estimate.from_rows([-1.0], side="exact")
    found = {"log_evidence": one.to_dict(), "num_particles": None}
    page = evaluation({"rows": 1, "of": "test", "methods": {"importance": found}})
    assert "Evaluation of 1 row, test" in str(page)
    summary_table(Console(width=200), {"log-evidence": one}, facts={})
    assert "Means over 1 row. " in capsys.readouterr().out


@pytest.mark.parametrize(("unseen", "said"), [(6, "likewise 1 more value"), (7, "likewise 2 more")])
def test_notes_of_a_fit_say_one_too(unseen, said):
    codes = (tuple(range(2 + unseen)),)
    rows = np.arange(40.0)[:, None] % 2
    data = taut.load_data(rows, split=(0.8, 0.1, 0.1))
    notes = list(_unseen_values(LCA(components=1, codes=codes), data))
    assert len(notes) == 6
    assert notes[-1].startswith(said)


def test_refusals_say_one_too():
    with pytest.raises(taut.InputError, match=r"out of 1 row\. Try"):
        taut.load_data(np.ones((1, 2)))
