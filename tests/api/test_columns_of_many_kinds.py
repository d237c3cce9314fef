"""A table with text, counts, numbers and holes is fitted as it stands."""

import re

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.data.one_row import named_values

RNG = np.random.default_rng(0)
N = 240
Z = RNG.normal(size=N)
TABLE = pl.DataFrame({
    "age": RNG.poisson(np.exp(3 + 0.3 * Z)),
    "sex": np.where(RNG.random(N) < 1 / (1 + np.exp(-2 * Z)), "F", "M"),
    "height": 1.7 + 0.1 * Z + 0.05 * RNG.normal(size=N),
    "income": np.exp(10 + Z + 0.3 * RNG.normal(size=N)),
})  # fmt: skip
HOLES = TABLE.with_columns(
    pl.when(pl.Series(RNG.random(N) > 0.1)).then(pl.col(name)).alias(name) for name in TABLE.columns
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    HOLES.write_csv(folder / "t.csv")
    taut.fit(
        str(folder / "t.csv"), hidden=[8], latent_dim=2, epochs=4, evidence_particles=20,
        out=folder / "run",
    )  # fmt: skip
    return folder / "run"


def test_numbers_are_finite_and_of_columns_measures(run):
    fitted = taut.load(run)
    assert all(np.isfinite(e.value) for e in fitted.estimates.values())
    assert fitted.facts.measure.kinds == ("mass", "mass", "density", "density")
    again = fitted.encode(HOLES[:5])
    assert np.isfinite(again).all()
    assert again.shape == (5, 2)
    full = fitted.evaluate(TABLE[:20], num_particles=20).log_evidence
    assert np.isfinite(full.value)


def test_rows_come_back_as_a_table_has_them(run, tmp_path, capsys):
    assert main(["sample", str(run), "-n", "9", "--out", str(tmp_path / "x.csv")]) == 0
    drawn = pl.read_csv(tmp_path / "x.csv")
    assert drawn.columns == TABLE.columns
    assert set(drawn["sex"]) <= {"F", "M"}
    assert drawn["age"].dtype.is_integer()
    assert drawn["income"].min() > 0
    assert main(["show", str(run)]) == 0
    assert "text with 2 different values" in capsys.readouterr().out


def test_holes_are_filled_in_by_the_command(run, tmp_path, capsys):
    source, out = run.parent / "t.csv", tmp_path / "full.csv"
    few = ["--num-particles", "50", "--draws", "2", "--out", str(out)]
    assert main(["impute", str(run), str(source), *few]) == 0
    given, full = pl.read_csv(source), pl.read_csv(out)
    missing = sum(given.null_count().row(0))
    assert f"{missing:,} missing cells of {N:,} rows filled in" in capsys.readouterr().out
    assert full.columns == TABLE.columns
    assert sum(full.null_count().row(0)) == 0
    sd = pl.read_csv(tmp_path / "full-sd.csv")
    for name in TABLE.columns:
        known = given[name].is_not_null()
        if given[name].dtype.is_numeric():
            wanted, found = given[name].drop_nulls(), full[name].filter(known)
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        else:
            assert full[name].filter(known).to_list() == given[name].drop_nulls().to_list()
        assert (sd[name].filter(known) == 0).all()
        assert (sd[name].filter(~known) > 0).all()
    draws = pl.read_csv(tmp_path / "full-draws.csv")
    assert draws["draw"].to_list() == [1] * N + [2] * N
    assert set(draws["sex"]) == {"F", "M"}


def test_a_model_of_columns_of_one_kind_says_which_takes_more():
    with pytest.raises(InputError, match=r"columns of one kind for the model gmm, got cat.*VAE"):
        taut.em(TABLE, components=1)
    with pytest.raises(InputError, match=r"no likelihood by name, where columns differ in kind"):
        taut.fit(TABLE, likelihood="gaussian", epochs=1)
    with pytest.raises(
        InputError, match=r"another prior, where columns differ in kind, got 'vamp:5'"
    ):
        taut.fit(TABLE, prior="vamp:5", epochs=1)


def test_latent_classes_take_categories_whatever_they_are_called(tmp_path, capsys):
    codes = np.random.default_rng(0).integers([0, 0, 0], [3, 2, 2], size=(N, 3))
    names = np.array(["oak", "elm", "ash"]), np.array(["no", "yes"]), np.array(["left", "right"])
    text = pl.DataFrame({f"c{i}": n[codes[:, i]] for i, n in enumerate(names)})
    found, wanted = (taut.em(x, model="lca", components=1) for x in (text, codes))
    assert found.facts.em.free_parameters == wanted.facts.em.free_parameters == 2 + 1 + 1
    for name, estimate in wanted.estimates.items():
        assert found.estimates[name].value == pytest.approx(estimate.value, rel=1e-9)
    # Whole numbers that are stored as reals, with what to write in their place.
    with pytest.raises(InputError, match=r'got real ones\. Try support="count"\.'):
        taut.em(codes.astype(float) + 1, model="lca")
    signed = pl.DataFrame(dict(zip("ab", 2 * codes[:, 1:].T - 1, strict=True)))
    file, run = tmp_path / "signed.csv", tmp_path / "run"
    signed.write_csv(file)
    command = ["em", str(file), "--model", "lca", "--components", "2", "--out", str(run)]
    assert main(command) == 2
    remedy = capsys.readouterr().err.partition("Try ")[2].strip().rstrip(".")
    assert remedy == "--kind a=categorical,b=categorical"
    assert main([*command, *remedy.split()]) == 0


def test_latent_classes_name_the_columns_that_are_numbers_and_dates_are_named_as_such():
    with pytest.raises(InputError, match=(
        r'real ones: height, income\. Try model="mixed", which takes them all, or '
        r'drop=\("height", "income"\)'
    )):  # fmt: skip
        taut.em(TABLE, model="lca")
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(N)]
    dated = TABLE.select("height", "income").with_columns(day=pl.Series(days))
    with pytest.raises(InputError, match=(
        r'for the model gmm, got dates, positive, real\. Try drop=\("day",\), or model="mixed" or a VAE'
    )):  # fmt: skip
        taut.em(dated, components=1)
    taut.em(taut.load_data(dated, drop=("day",)), components=1)


def test_draws_given_a_column_are_those_of_the_rows_that_have_it(run):
    fitted = taut.load(run)
    every = np.asarray(fitted.sample(10_000, key=1))
    some = every[every[:, 1] == 1]
    drawn = np.asarray(fitted.sample(2_000, key=2, given={"sex": "M"}))
    assert (drawn[:, 1] == 1).all()
    for column in (0, 2, 3):
        a, b = (np.log1p(np.maximum(rows[:, column], 0)) for rows in (some, drawn))
        # The draws share 10,000 latents, half of them of the prior.
        error = np.sqrt(a.var() / len(a) + b.var() * (1 / len(b) + 1 / 5_000))
        assert abs(a.mean() - b.mean()) < 5 * error


def test_columns_are_given_to_the_command_in_their_own_words(run, tmp_path, capsys):
    out = tmp_path / "x.csv"
    words = ["sample", str(run), "-n", "7", "--given", "age=30,sex=F", "--out", str(out)]
    assert main(words) == 0
    assert "effective draws" in capsys.readouterr().out
    drawn = pl.read_csv(out)
    assert drawn["age"].to_list() == [30] * 7
    assert set(drawn["sex"]) == {"F"}
    assert drawn["height"].n_unique() == 7


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"aeg": 30}, "a column of the data, got 'aeg'. Try 'age'"),
        ({"sex": "f"}, "column 'sex': expected one of the 2 values"),
        ({"sex": "?"}, "column 'sex': expected a value, got '?', a missing one"),
        ({"age": 30.5}, "column 'age': expected a value of kind count, got 30.5"),
        ({"age": "old"}, "column 'age': expected a number, got 'old'"),
        ({"income": float("inf")}, "column 'income': expected a finite number"),
        ({"age": 1, "sex": "F", "height": 1.0, "income": 2.0}, "expected a column that is left"),
        ({"height": 1e4}, "at least 10 effective draws of the latents, given these cells, got "),
    ],
)
def test_what_a_row_cannot_have_is_refused(run, given, line):
    with pytest.raises(InputError, match=re.escape(line)):
        taut.load(run).sample(7, given=given)


def test_a_comma_may_be_a_part_of_a_value():
    found = named_values(["a=1,5,b = x, y,a b=c=d"], ["a", "b", "a b"], where="given")
    assert found == {"a": "1,5,b = x, y", "a b": "c=d"}
    assert named_values(["a=1, b=2", "c=3"], ["a", "b"], where="given") == {
        "a": "1",
        "b": "2",
        "c": "3",
    }
