"""Scores of rows: the log-density by another route, ranks among held-out rows, and the cell to blame."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats

import taut
from taut.cli.main import main
from taut.core import InputError

RNG = np.random.default_rng(3)
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 4.0]])
TABLE = pl.DataFrame(
    RNG.multivariate_normal([0.0, 5.0, -3.0], COVARIANCE, size=300), schema=["a", "b", "c"]
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    TABLE.write_csv(folder / "t.csv")
    taut.em(str(folder / "t.csv"), model="gmm", components=1, out=folder / "run")
    return folder / "run"


def moments(fitted):
    return np.asarray(fitted.model.means)[0], np.asarray(fitted.model.covariances)[0]


def test_a_score_is_a_log_density_and_its_rank_among_held_out_rows(run, float64):
    fitted = taut.load(run)
    mean, covariance = moments(fitted)
    test = taut.load_data(str(run.parent / "t.csv"), dtype=np.float64).test.x
    normal = scipy.stats.multivariate_normal(mean, covariance)
    odd = mean + np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    found = fitted.score(odd)
    assert found.score.side == "exact"
    np.testing.assert_allclose(found.score.values, -normal.logpdf(odd), rtol=1e-9)
    below = [np.sum(-normal.logpdf(test) < -normal.logpdf(row)) for row in odd]
    np.testing.assert_allclose(found.quantile, np.array(below) / (len(test) + 1))
    assert found.quantile[0] == 0
    assert found.quantile[2] == 1 - found.resolution
    others = fitted.score(odd, held_out=test[:9])
    assert others.held_out == 9
    np.testing.assert_allclose(others.quantile[[0, 2]], [0.0, 0.9])


def test_a_held_out_row_as_odd_as_a_row_is_not_below_it(run, float64):
    """Else a row would be called odder than rows like it."""
    fitted = taut.load(run)
    test = taut.load_data(str(run.parent / "t.csv"), dtype=np.float64).test.x[:9]
    found = fitted.score(test, held_out=test)
    ranks = np.argsort(np.argsort(found.score.values))
    np.testing.assert_allclose(found.quantile, ranks / 10)
    alike = fitted.score(test[:1], held_out=np.repeat(test[:1], 9, axis=0))
    assert alike.quantile == 0


def test_a_cell_is_as_odd_as_its_conditional_density_says(run, float64):
    fitted = taut.load(run)
    mean, covariance = moments(fitted)
    rows = mean + np.array([[0.5, -0.5, 0.0], [0.0, 0.0, 9.0]])
    rows[1, 0] = np.nan
    found = fitted.score(rows).excess

    def conditional(row: np.ndarray, cell: Any) -> float:
        rest = [i for i in range(3) if i != cell and np.isfinite(row[i])]
        shares = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, cell])
        center = mean[cell] + shares @ (row[rest] - mean[rest])
        variance = covariance[cell, cell] - shares @ covariance[rest, cell]
        return -scipy.stats.norm.logpdf(row[cell], center, np.sqrt(variance))

    precision = np.diag(np.linalg.inv(covariance))
    entropy = 0.5 * np.log(2 * np.pi * np.e / precision)
    for row, values in zip(rows, found, strict=True):
        for cell in np.flatnonzero(np.isfinite(row)):
            # The entropy is a mean over 1,000 rows of a variable with variance 1/2.
            wanted = conditional(row, cell) - entropy[cell]
            assert abs(values[cell] - wanted) < 5 * np.sqrt(0.5 / 1000)
    assert found[1, 0] == 0
    assert np.argmax(found[1]) == 2


def test_the_command_writes_scores_and_names_the_cell(run, tmp_path, capsys):
    mean, _ = moments(taut.load(run))
    odd = mean + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 40.0]])
    odd = pl.DataFrame(odd, schema=["a", "b", "c"], orient="row")
    odd.write_csv(tmp_path / "odd.csv")
    words = ["score", str(run), str(tmp_path / "odd.csv"), "--out", str(tmp_path / "s.csv")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "2 rows scored, exact" in said
    assert "row 1: " in said
    assert "c +" in said.splitlines()[-2]
    table = pl.read_csv(tmp_path / "s.csv")
    assert table.columns == ["row", "score", "quantile"]
    assert pl.read_csv(tmp_path / "s-columns.csv").columns == ["row", "a", "b", "c"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["oddest"][0]["column"] == "c"
    assert found["oddest"][0]["score"] == pytest.approx(table["score"][1])


def test_every_row_of_the_run_s_own_file_is_scored_and_says_its_part(run, tmp_path, capsys):
    out = tmp_path / "s.csv"
    assert main(["score", str(run), str(run.parent / "t.csv"), "--out", str(out)]) == 0
    assert "240 of these 300 rows are training rows" in capsys.readouterr().out
    table = pl.read_csv(out)
    assert table["row"].to_list() == list(range(300))
    test = taut.load_data(str(run.parent / "t.csv")).test.index
    assert set(table.filter(pl.col("part") == "test")["row"]) == set(test.tolist())
    assert main(["score", str(run), "--out", str(out)]) == 0
    assert pl.read_csv(out)["row"].to_list() == test.tolist()


@pytest.mark.parametrize("holes", [0, 1, 3])
def test_rows_with_holes_are_counted_as_such(run, holes, tmp_path, capsys):
    """Their scores are of fewer cells, and of those they are ranked among and of the excess none are."""
    rows = TABLE[:5].to_numpy().copy()
    rows[:holes, 1] = np.nan
    found = taut.load(run).score(rows)
    row = "1 row has" if holes == 1 else "3 rows have"
    note = (
        f"{row} missing cells: the score is of the others alone, but its quantile is among held-out "
        "rows as they are, and the excess of a cell over whole rows"
    )
    assert found.notes == ((note,) if holes else ())
    pl.DataFrame(rows, schema=["a", "b", "c"]).fill_nan(None).write_csv(tmp_path / "rows.csv")
    words = ["score", str(run), str(tmp_path / "rows.csv"), "--out", str(tmp_path / "s.csv")]
    assert main(words) == 0
    assert (note in capsys.readouterr().out.splitlines()) == bool(holes)
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == list(found.notes)


def test_an_estimated_score_is_an_upper_bound_with_its_error():
    fitted = taut.fit(TABLE, hidden=[8], latent_dim=1, epochs=2, evidence_particles=50)
    found = fitted.score(TABLE[:4])
    assert found.score.side == "upper"
    assert found.excess is None
    assert found.errors.shape == found.khat.shape == found.quantile.shape == (4,)
    assert found.held_out == fitted.facts.rows.test
    assert found.notes == ()
    holes = fitted.score(TABLE[:4].with_columns(b=pl.lit(None, pl.Float64)))
    assert holes.notes[0].endswith("held-out rows as they are")
    forgotten = taut.Fit(
        fitted.pair, fitted.architecture, fitted.schema, fitted.facts, fitted.recipe
    )
    with pytest.raises(InputError, match=r"log-evidence of its test rows, got none.*held_out"):
        forgotten.score(TABLE[:4])
