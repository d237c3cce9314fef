"""Likeness of tables: scores by hand, and planted faults that each score must catch."""

import numpy as np
import polars as pl
import pytest

import taut
from taut.audit.column_fidelity import column_shapes, pair_trends
from taut.audit.fidelity import fidelity_of
from taut.audit.nearest_records import nearest_records
from taut.cli.main import main
from taut.core import InputError
from taut.data import load_data

GENERATOR = np.random.default_rng(5)
NUMBERS = np.zeros(3, bool)


def table(count: int) -> np.ndarray:
    z = GENERATOR.normal(size=count)
    x = z + 0.3 * GENERATOR.normal(size=count)
    return np.column_stack([z, x, (z + GENERATOR.normal(size=count) > 0).astype(float)])


TRAIN, HELD_OUT, OTHERS = table(900), table(300), table(400)
DATA = load_data(
    tuple(
        pl.DataFrame(rows, schema=["a", "b", "c"]).with_columns(pl.col("c").cast(pl.Int64))
        for rows in (TRAIN, table(20), HELD_OUT)
    ),
    columns="auto",
)  # fmt: skip


def found(synthetic: np.ndarray):
    return fidelity_of(
        synthetic, TRAIN, HELD_OUT, DATA.schema, names="abc", generator=np.random.default_rng(0)
    )


def test_scores_of_small_tables_by_hand():
    nan = np.nan
    a = np.array([[1.0, 0.0, 0.0], [2.0, 1.0, 1.0], [3.0, 2.0, 1.0], [nan, 3.0, nan]])
    b = np.array([[1.0, 3.0, 0.0], [1.0, 2.0, 0.0], [9.0, 1.0, 2.0], [9.0, 0.0, 2.0]])
    category = np.array([False, False, True])
    # F - G is -1/6 at 1, 1/6 at 2, 1/2 at 3; (1/3, 2/3, 0) beside (1/2, 0, 1/2).
    np.testing.assert_allclose(column_shapes(a, b, category), [0.5, 1.0, 1 / 3])
    trends = pair_trends(a, b, category)
    correlation = -2 / np.sqrt(5)  # of the columns of b; those of a have 1
    assert trends[0, 1] == pytest.approx(1 - (1 - correlation) / 2)
    # In bins of a 9 is where 3 is: (1, 0) has 1/3 beside 1/2, and nothing else is in both.
    assert trends[0, 2] == trends[2, 0] == pytest.approx(1 / 3)
    assert np.isnan(np.diag(trends)).all()


@pytest.mark.parametrize("column", range(4))
def test_a_missing_cell_leaves_its_row_out_of_the_pairs_it_is_in(column):
    """Of numbers, of categories, and of one beside the other."""
    generator, named = np.random.default_rng(1), np.array([False, False, True, True])
    tables = generator.integers(0, 3, (2, 40, 4)).astype(float)
    holed, full = tables.copy(), np.arange(40) % 8 > 0
    holed[:, ~full, column] = np.nan
    found, whole = pair_trends(*holed, named), pair_trends(*tables, named)
    whole[column] = whole[:, column] = pair_trends(*tables[:, full], named)[column]
    np.testing.assert_allclose(found, whole)


def test_rows_of_the_same_distribution_are_alike():
    same = found(OTHERS)
    assert same.columns == ("a", "b", "c")
    assert min(same.synthetic.shape, same.synthetic.trend) > 0.9
    assert same.synthetic.two_sample > 0.8
    assert not same.records.memorised


def test_columns_by_themselves_have_other_trends_and_are_told_apart():
    alone = np.column_stack([GENERATOR.permutation(column) for column in OTHERS.T])
    mixed, same = found(alone), found(OTHERS)
    assert mixed.synthetic.shape == pytest.approx(same.synthetic.shape)
    assert mixed.synthetic.trend < 0.85
    assert mixed.synthetic.two_sample < 0.5
    assert mixed.worst_pairs(1)[0][:2] == ("a", "b")
    with pytest.raises(InputError, match=r"most: expected a number of pairs of at least 0, got -1"):
        mixed.worst_pairs(-1)
    assert mixed.training.trend > mixed.synthetic.trend + 0.1


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_training_rows_in_disguise_are_caught(noise):
    remembered = TRAIN[:400] + noise * GENERATOR.normal(size=(400, 3)) * [1, 1, 0]
    records = found(remembered).records
    assert records.memorised
    assert records.to_training > 0.97
    assert records.copies == (0.0 if noise else 1.0)


def test_copies_of_rows_that_are_training_and_held_out_alike_are_told():
    """A program that was fitted to all rows favours none of them, however many it copies."""
    every = np.concatenate([TRAIN, HELD_OUT])
    records = found(every).records
    assert not records.memorised
    assert records.copies == pytest.approx(0.75)
    assert records.copied
    assert not found(OTHERS).records.copied


def test_copies_among_few_kinds_of_rows_are_what_chance_has():
    few = np.random.default_rng(2).integers(0, 2, (900, 3)).astype(float)
    train, held_out, own = few[:500], few[500:600], few[600:]
    category = np.ones(3, bool)
    records = nearest_records(own, train, held_out, category, generator=np.random.default_rng(0))
    assert records.copies == records.held_out_copies == 1.0
    assert not records.copied


def test_the_error_of_copies_is_that_of_two_shares():
    """30 of 40 synthetic rows and 2 of 10 held-out ones: 32 of 50 are copies."""
    train, new = np.arange(60.0)[:, None], np.arange(100.0, 160.0)[:, None]
    own, held_out = np.r_[train[:30], new[:10]], np.r_[train[:2], new[10:18]]
    category = np.zeros(1, bool)
    records = nearest_records(own, train, held_out, category, generator=np.random.default_rng(0))
    assert (records.copies, records.held_out_copies) == (0.75, 0.2)
    assert records.copies_error == pytest.approx(np.sqrt(0.64 * 0.36 * (1 / 40 + 1 / 10)))


def test_chance_says_what_it_is_where_nothing_is_remembered():
    shares, errors = [], []
    for _ in range(60):
        real, own = GENERATOR.normal(size=(120, 3)), GENERATOR.normal(size=(50, 3))
        one = nearest_records(own, real[:80], real[80:], NUMBERS, generator=GENERATOR)
        assert one.by_chance == pytest.approx(2 / 3)
        shares.append(one.to_training)
        errors.append(one.error)
    assert abs(np.mean(shares) - 2 / 3) < 5 * np.std(shares) / np.sqrt(60)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=5 / np.sqrt(120))


def test_a_fit_is_asked_in_python_and_by_the_command(tmp_path, capsys):
    rows = pl.DataFrame(np.concatenate([TRAIN, HELD_OUT])[:, :2], schema=["a", "b"])
    rows.write_csv(tmp_path / "t.csv")
    run = tmp_path / "run"
    fitted = taut.em(str(tmp_path / "t.csv"), model="gmm", components=1, out=run)
    own = fitted.fidelity(num_samples=200)
    assert own.synthetic.trend > 0.9
    assert own.rows == (200, 960, 120)
    assert main(["fidelity", str(run), "--synthetic", str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr().out
    assert "trends of pairs" in said
    assert "copies of training rows are more than chance has" in said  # all rows are, of both kinds
    assert (run / "fidelity.json").is_file()
    with pytest.raises(InputError, match="expected at least ten synthetic rows, got 9"):
        fitted.fidelity(synthetic=rows[:9])
    with pytest.raises(InputError, match="synthetic` or `num_samples`, got both"):
        fitted.fidelity(synthetic=rows, num_samples=9)


@pytest.mark.parametrize(("away", "to_training"), [(0.24, 1.0), (0.26, 0.0)])
def test_another_category_is_as_far_as_the_range_of_a_number(away, to_training):
    """2 y^2 + 1 to the training row, of another category; 2 (1 - y)^2 to the held-out one."""
    one = nearest_records(
        np.array([[away, away, 1.0]]), np.array([[0.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 1.0]]),
        np.array([False, False, True]), generator=GENERATOR,
    )  # fmt: skip
    assert one.to_training == to_training
