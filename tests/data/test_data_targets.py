"""A target: which column is to be predicted, which rows have none, what its values are."""

import numpy as np
import polars as pl
import pytest

from taut import InputError, load_data
from taut.data import has_label, load_rows, target_of

RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "age": RNG.normal(size=60),
        "sex": RNG.choice(["m", "f"], 60),
        "income": ["", "high", "low"] * 20,
    }
)


def _codes(frame: pl.DataFrame) -> np.ndarray:
    code = {None: -1, "": -1, "?": -1, "high": 0, "low": 1}
    return np.array([code[v] for v in frame["income"]])


@pytest.mark.parametrize("role", ["label", "column"])
@pytest.mark.parametrize("word", ["", "?", None])
def test_rows_without_a_target_stay(role, word):
    frame = FRAME.with_columns(income=pl.Series([word, "high", "low"] * 20))
    data = load_data(frame, target="income", target_as=role)
    assert data.schema.classes == ("high", "low")
    for part in (data.train[:], data.validation, data.test):
        found = target_of(part)
        assert found is not None
        assert np.array_equal(found, _codes(frame)[part.index])
    assert sum(map(len, (data.train, data.validation, data.test))) == 60


def test_a_label_is_no_column_and_a_column_is_no_label():
    beside = load_data(FRAME, target="income").schema
    among = load_data(FRAME, target="income", target_as="column").schema
    assert (beside.columns, beside.label_name, beside.place_of_target) == (
        ("age", "sex"),
        "income",
        None,
    )
    assert (among.columns, among.label_name, among.place_of_target) == (
        ("age", "sex", "income"),
        None,
        2,
    )


@pytest.mark.parametrize(
    ("values", "options", "classes"),
    [
        ([0, 1, None] * 20, {}, ("0", "1")),
        ([3.0, 1.0, float("nan")] * 20, {}, ("1", "3")),
        (list(range(60)), {}, None),
        (list(range(60)), {"kind": "income=categorical"}, tuple(map(str, range(60)))),
        ([0.5, 1.0, None] * 20, {}, None),
        ([2, 1, -9] * 20, {"missing_codes": -9}, ("1", "2")),
        ([2, 1, 3] * 20, {"kind": "income=real"}, None),
        ([2, 1, 3] * 20, {"kind": ["income=real", "income={missing = [-9]}"]}, None),
        ([2, 1, 3] * 20, {"kind": ["income=real", "income=categorical"]}, ("1", "2", "3")),
    ],
)  # fmt: skip
def test_what_a_target_is_follows_from_its_values(values, options, classes):
    frame = FRAME.with_columns(income=pl.Series(values, strict=False))
    assert load_data(frame, target="income", **options).schema.classes == classes


def test_a_class_of_numbers_among_columns_is_a_category():
    frame = FRAME.drop("sex").with_columns(income=pl.Series([3, 1, 2] * 20))
    schema = load_data(frame, target="income", target_as="column").schema
    assert schema.classes == ("1", "2", "3")
    assert schema.kinds is not None
    assert schema.kinds[1].kind == "categorical"


@pytest.mark.parametrize("empty", [float("nan"), None])
def test_labels_beside_an_array_may_be_missing(empty):
    y = np.array([empty, 2, 5] * 20, dtype=object if empty is None else float)
    data = load_data((RNG.normal(size=(60, 2)), y), target="y")
    assert data.schema.classes == ("2", "5")
    train = data.train[:]
    assert np.array_equal(has_label(np.asarray(train.label)), train.index % 3 > 0)


def test_more_rows_need_no_target():
    schema = load_data(FRAME, target="income", target_as="column").schema
    rows = load_rows(FRAME.drop("income"), schema)
    assert np.isnan(rows.x[:, 2]).all()
    shuffled = load_rows(FRAME.select("income", "sex", "age"), schema)
    assert np.array_equal(np.asarray(target_of(shuffled)), _codes(FRAME))
    assert np.array_equal(rows.x[:, :2], shuffled.x[:, :2])


def test_an_unseen_category_is_refused_or_read_as_missing():
    schema = load_data(FRAME, target="income").schema
    odd = FRAME.with_columns(sex=pl.Series(["m", "x", "?"] * 20))
    with pytest.raises(InputError, match="one of the 2 values that the fit has seen, got 'x'"):
        load_rows(odd, schema)
    rows = load_rows(odd, schema, unseen="missing")
    assert rows.unseen == 20
    assert np.isnan(rows.x[:, 1]).sum() == 40


def test_a_column_may_be_empty_in_more_rows():
    schema = load_data(FRAME, target="income").schema
    rows = load_rows(FRAME.with_columns(age=None), schema)
    assert np.isnan(rows.x[:, 0]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "incme"}, "a column among .*, got 'incme'"),
        ({"target": "incme", "target_as": "column"}, "a target among the columns, got 'incme'"),
        ({"target": "income", "label": "sex"}, "one of `label` and `target`, got both"),
        ({"target_as": "column"}, "`target` with `target_as`, got none"),
        ({"target": "one"}, "two different values, got '7' in every row"),
        ({"target": "one", "target_as": "column"}, "two different values, got '7' in every row"),
        ({"target": "none"}, "two different values, got no row that has one"),
        ({"target": "age", "target_as": "row"}, "one of label, column, got 'row'"),
    ],
)
def test_what_is_no_target_is_refused(options, words):
    frame = FRAME.with_columns(one=pl.lit(7), none=pl.lit(None, dtype=pl.Float64))
    with pytest.raises(InputError, match=words):
        load_data(frame, **options)


def test_a_target_of_an_array_needs_labels_beside_it():
    x = RNG.normal(size=(20, 2))
    with pytest.raises(InputError, match="no label, as the source names none"):
        load_data(x, target="y")
    with pytest.raises(InputError, match="a label among y, got 'z'"):
        load_data((x, np.arange(20) % 2), target="z")
    with pytest.raises(InputError, match="named columns, of which the target is one"):
        load_data(x, target="y", target_as="column")


@pytest.mark.parametrize("role", ["label", "column"])
def test_another_value_of_the_target_is_other_data(role):
    given = {"target": "income", "target_as": role}
    first, again = (load_data(FRAME, **given).checksum for _ in range(2))
    changed = FRAME.with_columns(income=pl.Series(["", "low", "high"] * 20))
    assert first == again
    assert load_data(changed, **given).checksum != first
