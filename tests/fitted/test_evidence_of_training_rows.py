"""Evidence of rows that are known to hold training rows says so."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse
from rich.console import Console

import taut
from taut.data import load_rows
from taut.evidence import EscalationInterrupted
from taut.fitted.training_rows import TRAINED_ON
from taut.report.tables import bracket_table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
NOTE = (
    "48 of these 60 rows are training rows, whose log-evidence tends to be higher than that of new "
    "ones"
)
OPTIONS = {"latent_dim": 1, "hidden": (4,), "epochs": 1, "evidence_particles": 5}


@pytest.mark.parametrize("source", ["memory", "file"])
@pytest.mark.parametrize(
    ("x", "precision"), [(X, "float32"), (HOLES, "float64")], ids=["whole", "holes"]
)
def test_all_rows_of_the_data_are_known_again(source, x, precision, tmp_path):
    frame, given = pl.DataFrame(x, schema=["a", "b", "c"]).fill_nan(None), x
    if source == "file":
        frame.write_csv(tmp_path / "t.csv")
        given = str(tmp_path / "t.csv")
    fit = taut.fit(given, **OPTIONS, precision=precision, missing="model", out=tmp_path / "run")
    for rows in (x, x.astype(np.float32), frame):
        assert fit.evaluate(rows, num_particles=5).notes == (NOTE,)
    assert taut.load(tmp_path / "run").evaluate(x, num_particles=5).notes == (NOTE,)
    for others in (x[:59], x[::-1], x + 1):
        assert fit.evaluate(others, num_particles=5).notes == ()


def test_every_method_of_a_bracket_says_so_too():
    fit = taut.fit(X, **OPTIONS)
    assert fit.evaluate(X, method="auto").notes.count(NOTE) == 1
    found = fit.bracket(X, seconds=1e-3)
    assert all(NOTE in step.evidence.notes for step in found.steps if step.evidence)
    assert NOTE in found.evidence.notes
    assert TRAINED_ON in found.lower.flags
    assert TRAINED_ON not in fit.bracket(X + 1, seconds=1e-3).lower.flags


def test_a_bracket_that_was_interrupted_says_so_too(monkeypatch):
    fit = taut.fit(X, **OPTIONS)

    def interrupted(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(taut.inference.Refined, "__call__", interrupted)
    with pytest.raises(EscalationInterrupted) as caught:
        fit.bracket(X, precision_nats=1e-9)
    assert NOTE in caught.value.bracket.evidence.notes


@pytest.mark.parametrize("number", ["evidence", "bound"])
def test_a_single_number_says_so_by_a_flag(number):
    fit = taut.fit(X, **OPTIONS)

    def found(rows):
        return fit.evidence(rows) if number == "evidence" else fit.bound(rows, "elbo")

    assert TRAINED_ON in found(X).words
    assert TRAINED_ON not in found(X[:59]).flags


@pytest.mark.parametrize("model", ["vae", "gmm"])
def test_scores_say_so_too(model):
    fit = taut.em(X, model="gmm", components=1) if model == "gmm" else taut.fit(X, **OPTIONS)
    assert fit.score(X).notes == (NOTE,)
    assert TRAINED_ON in fit.score(X).score.flags
    assert fit.score(X[:59]).notes == ()


def test_a_table_says_it_once(capsys):
    fit = taut.fit(X, **OPTIONS)
    bracket_table(Console(width=300), fit.bracket(X, precision_nats=1e-9, seconds=3), {})
    assert capsys.readouterr().out.count(NOTE) == 1


def test_a_target_beside_the_columns_is_not_missed():
    frame = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(y=pl.Series(["u", "v"] * 30))
    fit = taut.fit(frame, target="y", **OPTIONS)
    assert fit.evaluate(frame.drop("y"), num_particles=5).notes == (NOTE,)


def test_a_part_that_was_held_out_needs_no_note():
    data = taut.load_data(X)
    fit = taut.fit(data, **OPTIONS)
    assert fit.evaluate(data.test, num_particles=5).notes == ()


def test_rows_held_without_their_zeros_are_known_too():
    counts = scipy.sparse.csr_array(np.random.default_rng(1).poisson(0.05, (60, 40)))
    fit = taut.fit(counts, **OPTIONS)
    rows = load_rows(counts, fit.schema)
    assert rows.sparse
    assert fit.evaluate(rows, num_particles=5).notes == (NOTE,)
    assert fit.evaluate(counts.toarray(), num_particles=5).notes == (NOTE,)
