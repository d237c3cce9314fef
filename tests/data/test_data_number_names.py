"""Categories that are numbers: how they are named, and which spellings stand for which of them."""

import json

import numpy as np
import polars as pl
import pytest

from taut.data import Schema, as_written, columns_toml, load_data, load_rows, target_of
from taut.data.number_names import name_codes, number_name

STEPS = [0.1, 0.2, 0.3, 1e-5, 1e16, -7.0]
NAMES = ("-7", "1e-05", "0.1", "0.2", "0.3", "10000000000000000")
FULL = (
    "-7", "1.0000000000000001e-05", "0.10000000000000001", "0.20000000000000001", "0.29999999999999999",
    "10000000000000000",
)  # fmt: skip
FRAME = pl.DataFrame({"a": np.arange(60) % 7 + 0.5, "b": STEPS * 10})
ROLES = {
    "column": {"kind": {"b": "categorical"}},
    "ordinal": {"kind": {"b": "ordinal"}},
    "target": {"kind": {"b": "categorical"}, "target": "b"},
    "target column": {"kind": {"b": "categorical"}, "target": "b", "target_as": "column"},
}


def _names(schema: Schema) -> tuple[str, ...]:
    return schema.classes or (schema.kinds or ())[1].names


def _codes(rows) -> np.ndarray:
    return np.asarray(rows.x[:, 1] if rows.schema.target is None else target_of(rows))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("how", ["frame", "csv", "parquet"])
def test_a_number_is_named_by_its_fewest_digits(tmp_path, role, how):
    FRAME.write_csv(tmp_path / "t.csv")
    FRAME.write_parquet(tmp_path / "t.parquet")
    source = FRAME if how == "frame" else tmp_path / f"t.{how}"
    data = load_data(source, **ROLES[role])
    assert _names(data.schema) == NAMES
    found = [float(NAMES[int(code)]) for code in _codes(data.train[:])]
    assert found == [STEPS[i % 6] for i in data.train.index]


@pytest.mark.parametrize("role", ROLES)
def test_a_schema_with_all_digits_knows_its_rows(role):
    data = load_data(FRAME, **ROLES[role])
    text = json.dumps(data.schema.to_dict())
    for name, full in zip(NAMES, FULL, strict=True):
        text = text.replace(f'"{name}"', f'"{full}"')
    schema = Schema.from_dict(json.loads(text))
    assert schema == data.schema
    want = _codes(load_rows(FRAME, data.schema))
    np.testing.assert_array_equal(_codes(load_rows(FRAME, schema)), want)
    np.testing.assert_array_equal(want, [NAMES.index(number_name(v)) for v in FRAME["b"]])


@pytest.mark.parametrize(
    "levels",
    [
        ["0.3", "0.1", "0.2"],
        [0.3, 0.1, 0.2],
        ["0.30", ".1", "2e-1"],
        ["0.29999999999999999", "0.10000000000000001", "0.20000000000000001"],
    ],
)
def test_levels_that_are_numbers_are_compared_as_such(tmp_path, levels):
    frame = FRAME.with_columns(b=pl.Series([0.1, 0.2, 0.3] * 20))
    (path := tmp_path / "t.csv").write_text(frame.write_csv())
    for source in (frame, path):
        data = load_data(source, kind={"b": {"levels": levels}})
        for rows in (data.train[:], load_rows(source, data.schema)):
            np.testing.assert_array_equal(rows.x[:, 1], np.array([1, 2, 0])[rows.index % 3])
            written = as_written(rows.x, data.schema.kinds or ())[1]
            assert [float(v) for v in written] == [frame["b"][int(i)] for i in rows.index]
        (columns := tmp_path / "columns.toml").write_text(columns_toml(data.schema))
        assert load_data(source, columns=str(columns)).schema.kinds == data.schema.kinds


@pytest.mark.parametrize(
    ("texts", "names", "codes"),
    [
        (["0.20", "2e-1", "0.3"], ["0.20000000000000001", "0.5"], [0, 0, -1]),
        (["7", "007", "07"], ["007", "7"], [1, 0, -1]),
        (["1.0", "1", "1_0", "10"], ["1", "10"], [0, 0, -1, 1]),
        (["9007199254740993"], ["9007199254740992"], [-1]),
        (["inf", "nan", "infinity", "9" * 400], ["inf", "nan"], [0, 1, -1, -1]),
        (["Bonn", "bonn"], ["Bonn", "9" * 400], [0, -1]),
    ],
)
def test_a_text_stands_for_its_name_or_for_the_number_that_it_spells(texts, names, codes):
    assert name_codes(texts, names).tolist() == codes


@pytest.mark.parametrize("role", ROLES)
def test_zero_has_one_name(role):
    data = load_data(FRAME.with_columns(b=pl.Series([-0.0, 0.0, 0.5] * 20)), **ROLES[role])
    assert _names(data.schema) == ("0", "0.5")
    np.testing.assert_array_equal(_codes(data.train[:]), data.train.index % 3 == 2)


def test_names_that_are_no_numbers_are_read_as_they_are():
    names = ("0.20000000000000001", "Bonn", "9" * 400)
    schema = Schema(name="t", kind="table", shape=(1,), support="real", classes=names)
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))).classes == names
