"""A target: which column is to be predicted, which rows have none, what its values are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from taut import InputError, load_data
from taut.data import Schema, has_label, load_rows, target_of

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


DOORS = ("frame", "pandas", "csv", "parquet")


def _through(door: str, frame: pl.DataFrame, folder: Path) -> Any:
    if door in ("csv", "parquet"):
        getattr(frame, f"write_{door}")(folder / f"t.{door}")
        return folder / f"t.{door}"
    return frame if door == "frame" else pd.DataFrame(frame.to_dict(as_series=False))


ROLES = {
    "label": {"target": "y"},
    "column": {"target": "y", "target_as": "column"},
    "asked": {"target": "y", "target_as": "column", "kind": ("y=categorical",)},
    "no target": {"label": "y"},
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("role", ROLES)
def test_numbers_with_zeros_in_front_are_names_whatever_they_come_by(tmp_path, door, role):
    """007 and 7 are two classes, and a class is written as it came."""
    frame = pl.DataFrame({"age": FRAME["age"], "y": ["007", "7", "12"] * 20})
    data = load_data(_through(door, frame, tmp_path), columns="auto", **ROLES[role])
    assert data.schema.class_names == ("007", "12", "7")
    wanted = np.tile([0, 2, 1], 20)
    for part in (data.train[:], data.validation, data.test):
        found = target_of(part)
        np.testing.assert_array_equal(found, wanted[part.index])
    more = pl.DataFrame({"age": [0.5, 1.5, 2.0], "y": ["7", "12", "007"]})
    rows = load_rows(_through(door, more, tmp_path), data.schema)
    np.testing.assert_array_equal(target_of(rows), [2, 1, 0])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("role", ROLES)
def test_a_file_without_the_zeros_in_front_has_the_same_classes(tmp_path, door, role):
    frame = pl.DataFrame({"age": FRAME["age"], "y": ["007", "008", "012"] * 20})
    data = load_data(_through(door, frame, tmp_path), columns="auto", **ROLES[role])
    more = frame.with_columns(y=pl.col("y").cast(pl.Int64))
    for known in (frame, more):
        rows = load_rows(_through(door, known, tmp_path), data.schema)
        np.testing.assert_array_equal(target_of(rows), np.tile([0, 1, 2], 20))


@pytest.mark.parametrize("door", DOORS)
def test_zeros_in_front_mean_nothing_where_numbers_are_measured(tmp_path, door):
    fixed = [f"{i:03d}" for i in range(60)]
    frame = pl.DataFrame({"age": FRAME["age"], "size": fixed, "y": [*fixed[:20]] * 3})
    source = _through(door, frame, tmp_path)
    data = load_data(source, target="size", target_as="column", columns="auto")
    assert data.schema.classes is None
    np.testing.assert_array_equal(target_of(data.test), data.test.index)
    asked = load_data(source, target="y", target_as="column", kind=("y=count",))
    assert asked.schema.classes is None


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


def test_a_target_of_few_whole_numbers_says_why_it_has_classes():
    """Nobody asked for the kind; one who did is told so, and both are one column."""
    frame = FRAME.with_columns(income=pl.Series([3, 5, 8] * 20))
    found, asked = (
        load_data(frame, target="income", target_as="column", kind=kind).schema
        for kind in ((), ("income=categorical",))
    )
    assert found.kinds is not None
    assert asked.kinds is not None
    assert found.kinds[2].reason == "a target of 3 different values"
    assert asked.kinds[2].reason == "asked for"
    assert found == asked  # a run of an earlier version, which knew one reason, has these data


@pytest.mark.parametrize("classes", [["low", "high", "x"], [30, 40, 50]])
def test_an_unseen_class_beside_the_columns_is_refused_or_read_as_missing(classes):
    """Of text and of numbers; an empty cell is no class that was not seen."""
    first, second, new = classes
    frame = FRAME.with_columns(income=pl.Series([first, second] * 30))
    schema = load_data(frame, target="income").schema
    odd = frame.with_columns(income=pl.Series([first, new, None] * 20))
    with pytest.raises(InputError, match=f"a known class, got '{new}'"):
        load_rows(odd, schema)
    rows = load_rows(odd, schema, unseen="missing")
    assert rows.unseen == 20
    assert np.asarray(has_label(rows.label)).tolist() == [True, False, False] * 20


@pytest.mark.parametrize("code", [None, -9.0])
def test_rows_dropped_for_a_target_that_is_a_column_are_told_of(code):
    """They stay where it stands beside the columns, and none is told of that lacks more."""
    empty, bare = [i % 3 == 0 for i in range(60)], [i % 4 == 0 for i in range(60)]
    frame = FRAME.with_columns(
        income=pl.Series([code if e else float(i) for i, e in enumerate(empty)], dtype=pl.Float64),
        age=pl.Series([code if e else 0.1 * i for i, e in enumerate(bare)], dtype=pl.Float64),
    )
    codes = () if code is None else (code,)
    given: Any = {"target": "income", "missing": "drop-rows", "missing_codes": codes}
    beside = load_data(frame, target_as="label", **given)
    among = load_data(frame, target_as="column", **given)
    sizes = [sum(map(len, data.parts().values())) for data in (beside, among)]
    assert sizes == [45, 30]
    told = [[n for n in data.notes if "for the target" in n] for data in (beside, among)]
    assert told == [
        [],
        [
            "dropped 15 rows for the target 'income' alone: target_as label learns from rows without "
            "one"
        ],
    ]
    whole = frame.filter(pl.Series([not e for e in empty]))
    data = load_data(whole, target_as="column", **given)
    assert not any("for the target" in note for note in data.notes)


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


CODED = {
    "classes": ([2, 1, -9, -8], [-9, -8], [1, 0, -1, -1]),
    "numbers": ([2.5, -9.99, 0.1, 1.5], [-9.99], [2.5, None, 0.1, 1.5]),
    "text": (["b", "?", "lost", "a"], ["lost"], [1, -1, -1, 0]),
    "text and a number": (["b", "-9", "-9.0", "a"], [-9], [1, -1, -1, 0]),
}
READERS = ("polars", "pandas", "narrow", "csv", "parquet", "narrow parquet")


def _source(frame: pl.DataFrame, how: str, folder):
    if "narrow" in how:
        frame = frame.with_columns(pl.col(pl.Float64).cast(pl.Float32))
    if how in ("csv", "parquet", "narrow parquet"):
        path = folder / f"t.{how.split()[-1]}"
        getattr(frame, f"write_{path.suffix[1:]}")(path)
        return path
    return pd.DataFrame(frame.to_dict(as_series=False)) if how == "pandas" else frame


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("role", ["label", "column"])
@pytest.mark.parametrize("values", CODED)
def test_codes_of_a_missing_target_are_those_of_any_column(tmp_path, values, role, how):
    cells, codes, expected = CODED[values]
    frame = FRAME.with_columns(income=pl.Series(cells * 15))
    source = _source(frame, how, tmp_path)
    kind = {"income": {"missing": codes}}
    data = load_data(source, target="income", target_as=role, kind=kind)
    schema = Schema.from_dict(json.loads(json.dumps(data.schema.to_dict())))
    known = np.array([np.nan if v is None else v for v in expected * 15], np.float64)
    more = [load_rows(source, schema), load_rows(frame[:4], schema)]
    for part in (data.train[:], data.validation, data.test, *more):
        found = np.asarray(target_of(part), np.float64)
        np.testing.assert_array_equal(found, known[part.index].astype(np.float32))
    assert (data.schema.classes is None) == (values == "numbers")


@pytest.mark.parametrize("empty", [-9, -9.99])
def test_codes_of_labels_beside_an_array(empty):
    for dtype in (np.float32, np.float64) if empty % 1 else (int, float):
        y = np.array([empty, 2, 5] * 20, dtype)
        given = (RNG.normal(size=(60, 2)), y)
        data = load_data(given, target="y", kind={"y": {"missing": [empty]}})
        assert data.schema.classes == ("2", "5")
        for part in (data.train[:], load_rows(given, data.schema)):
            assert np.array_equal(has_label(np.asarray(part.label)), part.index % 3 > 0)


@pytest.mark.parametrize("how", READERS)
def test_a_label_that_is_a_code_is_none(tmp_path, refusal, how):
    source = _source(FRAME.with_columns(income=pl.Series([-9, 1, 2] * 20)), how, tmp_path)
    kind = {"income": {"missing": [-9]}}
    said = refusal(load_data, source, label="income", kind=kind)
    assert "a label for every row, got 20 infinite cell or empty labels in 20" in said
    data = load_data(source, label="income", kind=kind, missing="drop-rows")
    rows = load_rows(source, data.schema, missing="drop-rows")
    assert rows.index.tolist() == [i for i in range(60) if i % 3]
    assert set(rows.label) == set(data.train[:].label) == {1, 2}


MANY = 60
AMONG_TEXT: dict[str, tuple[list[str], str]] = {
    "dates": ([f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(MANY)], "dates"),
    "times": ([f"2020-01-02 {i % 24:02d}:{i:02d}" for i in range(MANY)], "dates"),
    "months": ([f"{1990 + i}-0{1 + i % 9}" for i in range(MANY)], "dates"),
    "money": ([f"${i}.50" for i in range(MANY)], "numbers in \\$"),
    "percent": ([f"{i} %" for i in range(MANY)], "numbers in %"),
}


@pytest.mark.parametrize("kind", AMONG_TEXT)
def test_text_that_tells_numbers_is_no_list_of_classes(kind):
    """Sixty days were sixty classes, none of which a held-out row had."""
    texts, words = AMONG_TEXT[kind]
    frame = pl.DataFrame({"a": RNG.normal(size=MANY), "y": texts})
    with pytest.raises(InputError, match=rf"\d\d {words}, such as .* Try target_as=\"column\""):
        load_data(frame, target="y")
    assert load_data(frame, target="y", target_as="column").schema.classes is None
    few = frame.with_columns(y=pl.Series([texts[i % 5] for i in range(MANY)]))
    assert len(load_data(few, target="y").schema.classes or ()) == 5
    named = load_data(frame, target="y", kind="y=categorical")
    assert len(named.schema.classes or ()) == len(set(texts))


def test_text_of_many_classes_is_text():
    units = [f"{i} {'kg' if i % 2 else 'lb'}" for i in range(MANY)]
    for texts in ([f"a{i}" for i in range(MANY)], units):
        data = load_data(pl.DataFrame({"a": RNG.normal(size=MANY), "y": texts}), target="y")
        assert len(data.schema.classes or ()) == MANY
