"""Evidence of rows that are known to hold training rows says so."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse

import taut
from taut.data import load_rows

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


def test_the_number_that_a_bracket_quotes_says_so_too():
    fit = taut.em(X, model="gmm", components=1)
    assert fit.evaluate(X, method="auto").notes == (NOTE,)


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
