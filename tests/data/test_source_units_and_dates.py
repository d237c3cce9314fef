"""Numbers with units, booleans, dates, identifiers: read as what they are, or refused by place."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest

from taut.data import as_written, load_data, load_rows
from taut.data.one_row import row_of

N = 30
X = np.random.default_rng(0).normal(size=N).round(3)


@pytest.fixture(params=["csv", "frame"])
def loaded(request, tmp_path):
    """A table of X and one column of text, loaded with nothing held out of order."""

    def load(cells, **options):
        frame = pl.DataFrame({"x": X, "c": [str(cell) for cell in cells]})
        if request.param == "frame":
            return load_data(frame, columns="auto", **options)
        frame.write_csv(tmp_path / "t.csv")
        return load_data(tmp_path / "t.csv", columns="auto", **options)

    return load


def _cells(data):
    """The cells of the second column as a data set has them, and as their source had them, by row."""
    order = np.argsort(
        np.concatenate([data.train[:].index, data.validation.index, data.test.index])
    )
    x = np.concatenate([data.train[:].x, data.validation.x, data.test.x])[order]
    return x[:, 1], as_written(x, data.schema.kinds)[1]


@pytest.mark.parametrize(
    ("write", "value", "unit"),
    [
        (lambda i: f"{i / 4}%", lambda i: i / 4, "%"),
        (lambda i: f"{i} %", lambda i: i, "%"),
        (lambda i: f"${1000 * i:,}.50", lambda i: 1000 * i + 0.5, "$"),
        (lambda i: f"-${i}.25", lambda i: -i - 0.25, "$"),
        (lambda i: f"{i},25 €", lambda i: i + 0.25, "€"),
        (lambda i: f"USD {i}.5", lambda i: i + 0.5, "USD"),
        (lambda i: f"{i} kg" if i % 7 else "n/a", lambda i: i if i % 7 else np.nan, "kg"),
        (lambda i: f"1 {i:03d},5", lambda i: 1000 + i + 0.5, ""),
        (lambda i: f"1'{i:03d}", lambda i: 1000 + i, ""),
        (lambda i: f"−{i}.5", lambda i: -i - 0.5, ""),
        (lambda i: f"'{i}'", lambda i: i, ""),
        (lambda i: f"{i},5", lambda i: i + 0.5, ""),
    ],
)
def test_numbers_are_read_without_their_unit(loaded, write, value, unit):
    data = loaded([write(i) for i in range(N)], dtype="float64", kind=["c=real"])
    np.testing.assert_array_equal(_cells(data)[0], [value(i) for i in range(N)])
    column = data.schema.kinds[1]
    assert column.unit == unit
    assert column.reason.endswith(f", in {unit}") == bool(unit)
    assert any(f"without their units: 'c' in {unit}" in note for note in data.notes) == bool(unit)


@pytest.mark.parametrize(
    ("words", "no", "yes"),
    [
        (["no", "yes"], "no", "yes"),
        (["Yes", "No", "NO", "yes"], "NO", "Yes"),
        (["t", "f"], "f", "t"),
        (["N", "Y"], "N", "Y"),
        (["off", "on", "?"], "off", "on"),
    ],
)
def test_words_for_no_and_yes_are_binary(loaded, words, no, yes):
    cells = [words[i % len(words)] for i in range(N)]
    data = loaded(cells)
    column = data.schema.kinds[1]
    assert column.kind == "binary"
    assert {name.lower() for name in column.names} == {no.lower(), yes.lower()}
    values = {no.lower(): 0, yes.lower(): 1}
    x, written = _cells(data)
    np.testing.assert_array_equal(x, [values.get(cell.lower(), np.nan) for cell in cells])
    assert loaded(cells, kind=["c=binary"]).schema.kinds[1] == column
    assert loaded(cells, kind=["c=categorical"]).schema.kinds[1].kind == "categorical"
    assert [w and w.lower() for w in written] == [c.lower() if c != "?" else None for c in cells]


START = datetime(2020, 1, 20)


@pytest.mark.parametrize(
    ("form", "unit", "step"),
    [
        ("%Y-%m-%d", "days", timedelta(days=9)),
        ("%m/%d/%Y", "days", timedelta(days=9)),
        ("%d/%m/%Y", "days", timedelta(days=9)),
        ("%d.%m.%Y", "days", timedelta(days=9)),
        ("%d %b %Y", "days", timedelta(days=9)),
        ("%B %d, %Y", "days", timedelta(days=9)),
        ("%Y-%m-%dT%H:%M:%S", "hours", timedelta(hours=5)),
        ("%Y-%m-%d %H:%M", "minutes", timedelta(minutes=7)),
        ("%Y-%m-%dT%H:%M:%SZ", "seconds", timedelta(seconds=7)),
        ("%m/%d/%Y %I:%M %p", "minutes", timedelta(minutes=77)),
    ],
)  # fmt: skip
def test_dates_are_counted_from_the_first_and_written_as_they_were(loaded, form, unit, step):
    dates = [START + i * step for i in range(N)]
    cells = [d.strftime(form) for d in dates]
    cells[3] = "n/a"
    data = loaded(cells)
    column, (x, written) = data.schema.kinds[1], _cells(data)
    assert (column.kind, column.unit, column.form) == ("real", unit, form)
    assert column.reason == f"dates from {cells[0]} to {cells[-1]}, as {unit} since the first"
    away = [(d - START) / timedelta(**{unit: 1}) for d in dates]
    away[3] = np.nan
    np.testing.assert_allclose(x, away, rtol=1e-6)
    assert written == [None if c == "n/a" else c for c in cells]
    alone = row_of({"c": cells[5]}, data.schema, where="given")
    assert alone[1] == x[5]


@pytest.mark.parametrize("library", [pl, pd])
def test_dates_of_frames_are_those_of_text(library):
    dates = [START + i * timedelta(hours=5) for i in range(N)]
    own = load_data(library.DataFrame({"x": X, "c": dates}))
    text = load_data(library.DataFrame({"x": X, "c": [str(d) for d in dates]}))
    assert own.schema.kinds == text.schema.kinds
    zoned = load_data(library.DataFrame({"x": X, "c": [d.replace(tzinfo=UTC) for d in dates]}))
    assert _cells(zoned)[1] == [d.strftime("%Y-%m-%d %H:%M:%S+0000") for d in dates]


@pytest.mark.parametrize("library", [pl, pd])
@pytest.mark.parametrize("text", [False, True])
def test_dates_with_an_offset_from_utc_are_no_others(library, text, refusal):
    """The same clock without a zone may be hours away, and was taken for that of UTC."""
    dates = [START + i * timedelta(hours=5) for i in range(N)]
    plain, zoned = (
        library.DataFrame({"x": X, "c": [str(d) if text else d for d in some]})
        for some in (dates, [d.replace(tzinfo=UTC) for d in dates])
    )
    without, with_zone = load_data(plain).schema, load_data(zoned).schema
    assert "without an offset" in refusal(load_rows, zoned, without)
    message = refusal(load_rows, plain, with_zone)
    assert "row 0, column 'c': expected a date with its offset from UTC" in message
    assert "+0000" in message.partition("Try dates as at the fit, such as ")[2]
    moved = [d.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=2))) for d in dates]
    cells = [str(d) if text else d for d in moved]
    rows = load_rows(library.DataFrame({"x": X, "c": cells}), with_zone)
    np.testing.assert_array_equal(rows.x, load_rows(zoned, with_zone).x)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({5: "2020-02-30"}, "column 'c': expected a date such as '2020-01-20', got '2020-02-30'"),
        ({5: "soon"}, "column 'c': expected a date such as '2020-01-20', got 'soon'"),
        ({5: "21/1/2020"}, "column 'c': expected a date such as '2020-01-20', got '21/1/2020'"),
        ({i: f"0{1 + i % 9}/02/2020" for i in range(N)}, "got '01/02/2020', day or month first"),
        ({i: f"{1 + i}/02/20" for i in range(N)}, "expected a date whose year has four digits"),
    ],
)
def test_dates_that_do_not_parse_are_refused_by_their_place(loaded, refusal, change, said):
    cells = [(START + timedelta(days=i)).strftime("%Y-%m-%d") for i in range(N)]
    for row, cell in change.items():
        cells[row] = cell
    message = refusal(loaded, cells)
    row = 5 if len(change) == 1 else 0
    assert f"line {row + 2}, " in message or f"row {row}, " in message
    assert said in message


def test_other_rows_have_the_dates_and_units_of_the_fit(refusal):
    days = [START + timedelta(days=i) for i in range(N)]
    shown = [d.strftime("%d/%m/%Y") for d in days]
    table = pl.DataFrame({"x": X, "day": shown, "share": [f"{i}%" for i in range(N)]})
    schema = load_data(table).schema
    # By themselves these may be days of February, March, ... or of January alone.
    later = pl.DataFrame({"x": [0.0, 0.0], "day": ["02/02/2020", "03/02/2020"], "share": [1, 2]})
    np.testing.assert_array_equal(load_rows(later, schema).x[:, 1:], [[13, 1], [14, 2]])
    for column, cells, said in (
        ("day", [1, 2], "row 0, column 'day': expected a date such as 20/01/2020, got '1'"),
        ("day", ["x", "y"], "row 0, column 'day': expected a number, got 'x'"),
        ("x", ["2020-01-01"] * 2, "row 0, column 'x': expected a number, got '2020-01-01'"),
        ("share", ["$1", "$2"], "row 0, column 'share': expected numbers in %, got those in $"),
    ):
        assert said in refusal(load_rows, later.with_columns(pl.Series(column, cells)), schema)


def test_identifiers_are_left_out_where_columns_are_read_by_the_column():
    table = pl.DataFrame({
        "id": np.arange(1, N + 1), "x": X, "city": ["Bonn", "Ulm"] * (N // 2),
        "name": [f"Row {i}" for i in range(N)], "size": np.arange(N) * 7,
    })  # fmt: skip
    data = load_data(table)
    assert data.schema.columns == ("x", "city", "size")
    assert "column 'id' is left out: it numbers the rows (kind id=count keeps it)" in data.notes
    told = (
        "column 'name' is left out: its text differs in every row (kind name=categorical keeps it)"
    )
    assert told in data.notes
    kept = load_data(table, kind=["id=count", "name=categorical"])
    assert kept.schema.columns == tuple(table.columns)
    assert load_rows(table, data.schema).x.shape == (N, 3)


def test_each_column_decides_its_decimal_mark_where_the_table_has_both(tmp_path):
    lines = [f"{i}.5;{i},25;{'ab'[i % 2]}" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(["a;b;c", *lines]))
    data = load_data(tmp_path / "t.csv")
    assert [column.kind for column in data.schema.kinds] == ["real", "real", "categorical"]
    np.testing.assert_array_equal(_cells(data)[0], np.arange(N) + 0.25)
