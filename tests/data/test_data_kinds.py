"""Tables whose columns differ in kind: what each column is read as, and what is refused by its name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from taut.data import Column, Data, Schema, as_written, columns_toml, load_data, load_rows

RNG = np.random.default_rng(0)
N = 60
TABLE = pl.DataFrame({
    "height": RNG.normal(1.7, 0.1, N),
    "income": np.exp(RNG.normal(10, 1.5, N)),
    "visits": RNG.poisson(3, N),
    "owner": np.arange(N) % 2,
    "city": np.array(["Bonn", "Ulm", "Aalen"])[np.arange(N) % 3],
    "planet": ["Earth"] * N,
    "empty": pl.Series([None] * N, dtype=pl.Float64),
})  # fmt: skip
KINDS = ["real", "positive", "count", "binary", "categorical", "constant", "constant"]


def _kinds(data: Data) -> list[str]:
    return [column.kind for column in data.schema.kinds or ()]


def _written(folder, frame, name="t.csv"):
    frame.write_csv(folder / name)
    return folder / name


@pytest.mark.parametrize("how", ["polars", "pandas", "csv", "parquet"])
def test_kinds_follow_from_the_values(tmp_path, how):
    TABLE.write_parquet(tmp_path / "t.parquet")
    source = {
        "polars": lambda: TABLE,
        "pandas": lambda: pd.DataFrame(TABLE.to_dict(as_series=False)),
        "csv": lambda: _written(tmp_path, TABLE),
        "parquet": lambda: tmp_path / "t.parquet",
    }[how]()
    data = load_data(source)
    assert data.schema.support == "mixed"
    assert _kinds(data) == KINDS
    assert (data.schema.kinds or ())[4].names == ("Aalen", "Bonn", "Ulm")
    note = "1 real, 1 positive, 1 count, 1 binary, 1 categorical, 2 constant"
    assert any(note in said for said in data.notes)
    city = as_written(data.test.x, data.schema.kinds or ())[4]
    assert city == TABLE["city"][data.test.index.tolist()].to_list()


def test_a_mean_of_codes_is_named_after_the_nearest():
    columns = [Column("binary", names=("no", "yes")), Column("ordinal", names=("S", "M", "L"))]
    x = np.array([[0.9, 1.7], [0.2, np.nan]])
    assert as_written(x, columns) == (["yes", "no"], ["L", None])


def test_numbers_are_standardised_by_the_training_rows():
    data = load_data(TABLE, dtype="float64")
    found, train = data.schema.kinds or (), data.train[:].x
    for i, t in ((0, train[:, 0]), (1, np.log(train[:, 1])), (2, np.log1p(train[:, 2]))):
        np.testing.assert_allclose(
            (found[i].shift, found[i].scale), (t.mean(), t.std()), rtol=1e-12
        )


def test_numbers_alone_are_read_by_the_column_on_request():
    numbers = TABLE.select("height", "visits")
    assert load_data(numbers).schema.kinds is None
    assert _kinds(load_data(numbers, columns="auto")) == ["real", "count"]
    data = load_data(numbers, kind=["visits=categorical"])
    assert _kinds(data) == ["real", "categorical"]
    values = as_written(data.test.x, data.schema.kinds or ())[1]
    assert values == [str(v) for v in numbers["visits"][data.test.index.tolist()]]


def test_words_for_a_missing_cell_are_holes_in_columns_of_text(tmp_path):
    words = ["", "NA", "n/a", "?", "-", "null", "NaN", "None"]
    cities = [words[i % 8] if i % 4 == 0 else city for i, city in enumerate(TABLE["city"])]
    data = load_data(_written(tmp_path, TABLE.with_columns(city=pl.Series(cities))))
    assert (data.schema.kinds or ())[4].names == ("Aalen", "Bonn", "Ulm")
    assert np.isnan(data.train[:].x[:, 4]).mean() == pytest.approx(0.25, abs=0.1)
    assert data.schema.holes


def test_numbers_spelled_as_text_stay_numbers(refusal):
    spelled = TABLE.select(
        "city", pl.col("visits").cast(pl.String), pl.col("height").cast(pl.String)
    )
    data = load_data(spelled)
    assert _kinds(data) == ["categorical", "count", "real"]
    x = data.test.x[:, 1]
    np.testing.assert_array_equal(x, TABLE["visits"].to_numpy()[data.test.index])
    broken = spelled.with_columns(visits=pl.Series(["3"] * (N - 1) + ["few"]))
    assert refusal(load_data, broken) == (
        "data frame, row 59, column 'visits': expected numbers alone, or names alone, got 'few' among "
        "numbers. "
        "Try mending the cells, or names such as 'no 1' for codes."
    )


def test_parts_share_their_categories(tmp_path):
    parts = (TABLE.filter(pl.col("city") != c) for c in ("Ulm", "Bonn", "Aalen"))
    data = load_data(tuple(parts))
    assert (data.schema.kinds or ())[4].names == ("Aalen", "Bonn", "Ulm")
    assert set(as_written(data.test.x, data.schema.kinds or ())[4]) == {"Bonn", "Ulm"}


def test_a_schema_is_read_again():
    schema = load_data(TABLE).schema
    assert Schema.from_dict(schema.to_dict()) == schema
    old = {k: v for k, v in load_data(TABLE[:, :1]).schema.to_dict().items() if k != "kinds"}
    assert Schema.from_dict(old).kinds is None
    assert Column.from_dict({"kind": "real"}) == Column("real")


def test_other_rows_are_coded_by_the_names_of_the_fit(refusal):
    schema = load_data(TABLE).schema
    rows = load_rows(TABLE.filter(pl.col("city") == "Ulm").select(*reversed(TABLE.columns)), schema)
    assert (rows.x[:, 4] == 2).all()
    strange = TABLE.with_columns(city=pl.Series(["Ulm"] * (N - 1) + ["Ulms"]))
    assert refusal(load_rows, strange, schema) == (
        "data frame, row 59, column 'city': expected one of the 3 values that the fit has seen, got "
        "'Ulms'. Try 'Ulm'."
    )
    changed = TABLE.with_columns(visits=TABLE["city"], city=TABLE["visits"])
    assert "row 0, column 'visits': expected a number, got 'Aalen'" in refusal(
        load_rows, changed, schema
    )
    broken = TABLE.with_columns(visits=TABLE["visits"] + 0.5)
    assert "expected a value of kind count, got 1.5" in refusal(load_rows, broken, schema).replace(
        f"{TABLE['visits'][0] + 0.5:g}", "1.5"
    )


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([f"word {i % 40}" for i in range(N)], "40 different texts in 60 rows, such as 'word 0'"),
        (
            [f"{i} is a row of words that tell a story" for i in range(N)],
            "60 different texts in 60",
        ),
        (
            ["low", "7%"] * (N // 2),
            "row 1, column 'note': expected numbers with one unit alone, or",
        ),
        (["$1,200", "$3"] * (N // 2), "row 0, column 'note': expected a number that shows what"),
        (["$3", "4 €"] * (N // 2), "row 0, column 'note': expected numbers with one unit alone"),
        (["7%", "4"] * (N // 2), "row 0, column 'note': expected numbers alone, or names alone"),
        (["12:30", "7:05"] * (N // 2), "got '12:30'. Try plain numbers, or kind=(\"note=cat"),
    ],
)
def test_text_that_names_no_categories_is_refused_by_its_column(refusal, cells, said):
    message = refusal(load_data, TABLE.with_columns(note=pl.Series(cells)))
    assert "column 'note'" in message
    assert said in message


def test_what_cannot_be_asked(refusal):
    assert refusal(load_data, TABLE, kind=["visits"]) == (
        "kind: expected column=kind, got 'visits'. Try age=count."
    )
    assert "a column of the data, got 'visit'. Try 'visits'" in refusal(
        load_data, TABLE, kind=["visit=count"]
    )
    assert "for the column 'visits', got 'counts'. Try 'count'" in refusal(
        load_data, TABLE, kind=["visits=counts"]
    )
    assert "column 'height': expected values of kind count, got" in refusal(
        load_data, TABLE, kind=["height=count"]
    )
    assert "column 'city': expected numbers in a column of kind real, got text" in refusal(
        load_data, TABLE, kind=["city=real"]
    )
    assert "no support, where columns have kinds of their own, got 'real'" in refusal(
        load_data, TABLE, support="real"
    )
    lists = TABLE.with_columns(born=pl.Series([[1]] * N))
    assert "expected columns of numbers, text or dates, got none of these in 'born'" in refusal(
        load_data, lists
    )


def test_a_file_of_columns_says_what_values_do_not_show(tmp_path, refusal):
    codes = TABLE.with_columns(
        visits=pl.Series([-9, *TABLE["visits"][1:]]), city=pl.Series(["lost", *TABLE["city"][1:]])
    )
    schema = load_data(TABLE).schema
    place = tmp_path / "columns.toml"
    place.write_text(columns_toml(schema))
    again = load_data(TABLE, columns=str(place))
    assert [c.kind for c in again.schema.kinds or ()] == KINDS
    text = place.read_text().replace('kind = "count"', 'kind = "categorical"\nmissing = [-9]')
    place.write_text(text.replace("[city]", '[city]\nmissing = ["lost"]'))
    wishes = {"visits": {"kind": "categorical", "missing": [-9]}, "city": {"missing": ["lost"]}}
    (codes_path := tmp_path / "t.csv").write_text(codes.write_csv())
    for source in (codes, codes_path):
        data = load_data(source, columns=str(place))
        found = data.schema.kinds or ()
        assert (found[2].kind, found[2].missing) == ("categorical", ("-9",))
        assert found[4].names == ("Aalen", "Bonn", "Ulm")
        assert data.schema == load_data(source, kind=wishes, columns="auto").schema
        assert "columns.toml" not in str(data.options)
        rows = load_rows(source, data.schema)
        np.testing.assert_array_equal(np.isnan(rows.x[0]), [0, 0, 1, 0, 1, 0, 1])
        assert not np.isnan(rows.x[1:, :6]).any()
        assert load_data(source, columns=str(place), kind=["visits=real"]).schema.kinds[2].missing
        assert Schema.from_dict(data.schema.to_dict()) == data.schema


def test_ordinal_columns_are_codes_in_the_order_of_their_levels(tmp_path, refusal):
    wishes = {
        "city": {"levels": ["Ulm", "Aalen", "Bonn", "Köln"]},
        "visits": {"bounds": [0, 30]},
        "owner": "ordinal",
        "height": {"likelihood": "student-t"},
    }
    data = load_data(TABLE, kind=wishes)
    found = data.schema.kinds or ()
    kinds = dict(zip(TABLE.columns, found, strict=True))
    assert [kinds[name].kind for name in wishes] == ["ordinal", "ordinal", "ordinal", "real"]
    assert kinds["city"].reason == "4 levels from Ulm to Köln"
    assert (len(kinds["visits"].names), kinds["owner"].names) == (31, ("0", "1"))
    assert kinds["height"].likelihood == "student-t"
    x, rows, place = data.test.x, data.test.index.tolist(), ["Ulm", "Aalen", "Bonn"]
    np.testing.assert_array_equal(x[:, 4], [place.index(TABLE["city"][i]) for i in rows])
    np.testing.assert_array_equal(x[:, 2], TABLE["visits"].to_numpy()[rows])
    written = as_written(x, found)
    assert written[4] == TABLE["city"][rows].to_list()
    assert written[2] == [str(v) for v in TABLE["visits"][rows]]
    (columns := tmp_path / "columns.toml").write_text(columns_toml(data.schema))
    again = load_data(TABLE, columns=str(columns)).schema
    assert [(c.kind, c.names) for c in again.kinds or ()] == [(c.kind, c.names) for c in found]
    other = TABLE.with_columns(visits=TABLE["visits"] + 31)
    said = "row 0, column 'visits': expected one of the 31 values that the fit has seen"
    assert said in refusal(load_rows, other, data.schema)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[visits\n", "columns.toml: expected TOML, got"),
        ('[visits]\nkind = "counts"', "for the column 'visits', got 'counts'. Try 'count'"),
        (
            '[visits]\nkinds = "count"',
            "column 'visits': expected one of kind, levels, bounds, like",
        ),
        ('[city]\nkind = "ordinal"', "of an ordinal column of text, in their order, got none. Try"),
        ('[city]\nlevels = ["Bonn", "Ulm"]', "hold every value of the column, got 'Aalen' beside"),
        ("[visits]\nbounds = [1, 3]", "hold every value of the column, got '0' beside them"),
        ("[visits]\nbounds = [3, 1]", "two whole numbers, the least and the greatest, got [3, 1]"),
        (
            '[visits]\nlikelihood = "student"',
            "gaussian or student-t, got 'student'. Try 'student-t'",
        ),
        ('[visits]\nlikelihood = "student-t"', "the likelihood of a count column, or kind real"),
        ("visits = 3", "column 'visits': expected a table for each column, got 3"),
        ("[visits]\nmissing = -9", "a list of numbers or words, got -9. Try missing = [-999"),
        ('[visit]\nkind = "count"', "a column of the data, got 'visit'. Try 'visits'"),
        (None, "expected a file of columns, got No such file"),
    ],
)
def test_mistakes_in_a_file_of_columns(tmp_path, refusal, text, said):
    place = tmp_path / "columns.toml"
    if text is not None:
        place.write_text(text)
    assert said in refusal(load_data, TABLE, columns=str(place))


def test_numbers_are_written_with_the_digits_that_their_type_has():
    cells = np.array([[0.1], [6052.47], [np.nan], [7.0]], np.float32)
    assert as_written(cells, (Column("real"),)) == ([0.1, 6052.47, None, 7.0],)


@pytest.mark.parametrize("role", ["label", "target"])
@pytest.mark.parametrize("name", ["visits", "owner", "height", "city"])
@pytest.mark.parametrize("how", ["frame", "csv", "parquet"])
def test_what_is_said_of_the_label_is_said_of_no_column(tmp_path, how, name, role):
    TABLE.write_parquet(tmp_path / "t.parquet")
    source = TABLE if how == "frame" else _written(tmp_path, TABLE)
    source = tmp_path / "t.parquet" if how == "parquet" else source
    (place := tmp_path / "columns.toml").write_text(columns_toml(load_data(TABLE).schema))
    plain = load_data(source, **{role: name}, columns="auto")
    for said in ([], [f"{name}=real"], [f"{name}=real", f"{name}=positive"]):
        data = load_data(source, **{role: name}, columns=str(place), kind=said)
        assert data.schema.columns == plain.schema.columns
        assert data.schema.kinds == plain.schema.kinds
        np.testing.assert_array_equal(data.train[:].x, plain.train[:].x)
        if role == "label":
            np.testing.assert_array_equal(data.train[:].label, plain.train[:].label)
            assert data.schema.classes == plain.schema.classes


def test_what_is_said_of_labels_beside_rows_is_said_of_no_column():
    x, y = TABLE.select("height", "visits"), TABLE["owner"].to_numpy()
    for kind in ({"y": "real"}, {"y": {"missing": [-9]}}):
        assert load_data((x, y), kind=kind).schema == load_data((x, y)).schema
        both = load_data((x.with_columns(y=x["height"]), y), kind=kind)
        assert _kinds(both) == ["real", "count", "real"]
