"""Text tables: separators, headers and numbers as NumPy reads them; mistakes by line and column."""

import gzip
import sys

import numpy as np
import pytest

from taut.data.sources import Request, read_source

VALUES = np.random.default_rng(0).normal(size=(9, 4)) * 10.0 ** np.arange(-2, 2)


@pytest.fixture
def read(tmp_path):
    """Write text to a file and read it back as rows."""

    def call(text: str | bytes, name="t.csv", **request):
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / name).write_bytes(content)
        (rows,) = read_source(str(tmp_path / name), Request(**request))
        return rows

    return call


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "  ", " \t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\r"])
@pytest.mark.parametrize("header", [True, False])
def test_numbers_are_those_that_were_written(read, separator, end, header):
    names = ["alpha", "beta", "gamma", "delta"]
    lines = [separator.join(map(repr, row)) for row in VALUES.tolist()]
    rows = read(end.join(([separator.join(names)] if header else []) + lines) + end)
    np.testing.assert_array_equal(rows.values, VALUES)
    expected = names if header else ["column_1", "column_2", "column_3", "column_4"]
    assert rows.columns == tuple(expected)
    np.testing.assert_array_equal(rows.lines, np.arange(9) + (2 if header else 1))
    assert rows.notes == (() if header else ("no line of names: columns are column_1 to column_4",))


def test_same_as_numpy(tmp_path, read):
    np.savetxt(tmp_path / "n.txt", VALUES)
    rows = read((tmp_path / "n.txt").read_bytes(), "copy.txt")
    np.testing.assert_array_equal(rows.values, np.loadtxt(tmp_path / "n.txt"))


def test_packed_with_a_byte_order_mark(read):
    rows = read(gzip.compress(b"\xef\xbb\xbfa,b\n1,2\n3,4\n"), "t.data.gz")
    assert rows.columns == ("a", "b")
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])


def test_blank_lines_are_skipped_and_counted(read):
    rows = read("\na,b\n\n1,2\n  \n3,4\n\n")
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(rows.lines, [4, 6])


def test_whole_numbers_stay_whole(read):
    assert read("a,b\n1,2\n").values.dtype == np.int64
    assert read("a,b\n1,2.0\n").values.dtype == np.float64


def test_truth_values(read):
    rows = read("a,b\nTRUE,1\nfalse,2\n")
    np.testing.assert_array_equal(rows.values, [[1, 1], [0, 2]])


def test_words_for_missing_cells(read):
    rows = read("a,b\n1,\nNA,2\n?,3\nnan,n/a\n5,null\n")
    expected = [[1, np.nan], [np.nan, 2], [np.nan, 3], [np.nan, np.nan], [5, np.nan]]
    np.testing.assert_array_equal(rows.values, expected)


def test_quoted_cells(read):
    rows = read('"a, b","c"\n"1",2\n 3 ,"4"\n')
    assert rows.columns == ("a, b", "c")
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])


def test_quoted_line_ends_in_a_dropped_column(read):
    rows = read('a,b\n1,"x\ny"\n2,z\n', drop=("b",))
    np.testing.assert_array_equal(rows.values, [[1], [2]])
    np.testing.assert_array_equal(rows.lines, [2, 4])


def test_quoted_names_between_blanks(read):
    rows = read('"a" "b c"\n1   2\n 3\t4 \n', "t.txt")
    assert rows.columns == ("a", "b c")
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])


def test_first_line_that_counts_the_columns(read):
    for first in ("0,1,2,3", "1,2,3,4"):
        rows = read(f"{first}\n5,6,7,8\n")
        assert rows.columns == tuple(first.split(","))
        np.testing.assert_array_equal(rows.values, [[5, 6, 7, 8]])
        assert rows.notes == ("the first line counts the columns: read as their names",)
    np.testing.assert_array_equal(read("0,1\n1,0\n").values, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("cells", "kind"), [("7\n8", "i"), ("0.5\n8", "f"), ("no\nyes", "U"), ("true\nfalse", "i")]
)
def test_label(read, cells, kind):
    first, second = cells.split("\n")
    rows = read(f"a,y,b\n1,{first},2\n3,{second},4\n", label="y")
    assert rows.columns == ("a", "b")
    assert rows.label_name == "y"
    assert rows.labels.dtype.kind == kind
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])


def test_columns_of_a_schema_by_name(read):
    keep = ("b", "a")
    rows = read("a,text,b\n1,x,2\n3,y,4\n", keep=keep, rows_only=True, label="y")
    assert rows.columns == keep
    np.testing.assert_array_equal(rows.values, [[2, 1], [4, 3]])
    assert rows.labels is None


def test_columns_of_a_schema_by_position_without_a_header(read):
    np.testing.assert_array_equal(
        read("1,2\n3,4\n", keep=("b", "a"), rows_only=True).values, [[1, 2], [3, 4]]
    )


@pytest.mark.parametrize(
    ("text", "request_", "message"),
    [
        (
            "a,b\n1,2\n3\n",
            {},
            "t.csv, line 3: expected 2 columns, as in line 1, got 1. Try mending the line.",
        ),
        (
            'a,b\n1,"2"\n3,4,5\n',
            {},
            "t.csv, line 3: expected 2 columns, as in line 1, got 3. Try mending the line.",
        ),
        (
            "a,b\n1,2\n3,x\n",
            {},
            "t.csv, line 3, column 'b': expected a number, got 'x'. "
            'Try mending the cell, or drop=("b",).',
        ),
        (
            "a,b\n1,2\n3,1_000\n",
            {},
            "t.csv, line 3, column 'b': expected a number, got '1_000'. "
            'Try mending the cell, or drop=("b",).',
        ),
        (
            "a,b,c c\n1,u,v\n3,w,z\n3,4,z\n",
            {},
            "t.csv, line 2, column 'b': expected a number, got 'u'. "
            'Try mending the cell, or drop=("b",).',
        ),
        (
            "a;b\n1,5;2\n3.5;4\n",
            {},
            "t.csv, line 2, column 'a': expected a number, got '1,5'. "
            'Try mending the cell, or drop=("a",).',
        ),
        (
            "a,b\n",
            {},
            "t.csv: expected at least one row, got a line of column names alone. Try another file.",
        ),
        ("\n \n", {}, "t.csv: expected a table, got blank lines alone. Try writing it again."),
        (
            "a,a\n1,2\n",
            {},
            "t.csv: expected columns with different names, got 'a' twice. Try renaming one.",
        ),
        (
            ",a\n0,2\n5,3\n",
            {},
            "t.csv, line 1: expected a name for every column, got none for column 1. "
            'Try naming it, or drop=("column_1",) if it numbers the rows.',
        ),
        (
            'a,b\n1,"2\n',
            {},
            "t.csv, line 2: expected cells whose quotation marks close, "
            "got unexpected end of data. Try mending the line.",
        ),
        (
            "age,b\n1,2\n",
            {"label": "agee"},
            "t.csv: expected a column among 'age', 'b', got 'agee'. Try 'age'.",
        ),
        (
            "age,b\n1,2\n",
            {"drop": ("agee",)},
            "t.csv: expected a column among 'age', 'b', got 'agee'. Try 'age'.",
        ),
        (
            "a,b\n1,2\n",
            {"drop": ("a",), "label": "b"},
            "t.csv: expected a column of data, got none but those left out. "
            "Try dropping fewer columns.",
        ),
        (
            "age,b\n1,2\n",
            {"keep": ("agee", "b")},
            "t.csv: expected the columns of the fitted data, 'agee', 'b', "
            "got no column 'agee' among 'age', 'b'. Try renaming 'age'.",
        ),
        (
            "1,2,3\n4,5,6\n",
            {"keep": ("a", "b")},
            "t.csv: expected the columns of the fitted data, 'a', 'b', got no column 'a' among "
            "'column_1', 'column_2', 'column_3'. Try renaming column_1, column_2, column_3.",
        ),
    ],
)
def test_mistakes(read, refusal, text, request_, message):
    assert refusal(read, text, **request_) == message


def test_bytes_that_are_no_text(read, refusal):
    assert refusal(read, b"a,b\n1,2\n\xff,3\n") == (
        "t.csv, line 3: expected text in UTF-8, got the byte 0xff. "
        "Try saving the file as UTF-8, or the ending that belongs to its format."
    )


def test_unnamed_column_can_be_dropped(read):
    rows = read(",a,b\n0,2,3\n1,4,5\n", drop=("column_1",))
    assert rows.columns == ("a", "b")
    rows = read(",a,b\n0,2,3\n1,4,5\n", keep=("a", "b"), rows_only=True)
    np.testing.assert_array_equal(rows.values, [[2, 3], [4, 5]])


@pytest.mark.parametrize("names", ["x;y;z", "x\ty\tz", "x y z"])
@pytest.mark.parametrize("thousands", ["", "."])
def test_decimal_commas_and_points_between_thousands(read, names, thousands):
    """As Python's own formatting writes them."""
    separator = names[1]
    numbers = np.array([[1234.5, -0.25, 7], [1234567.75, 12, 950], [3.125, 1000, 1e6]])

    def written(value):
        text = f"{value:,}" if thousands else f"{value!r}"
        return text.replace(",", "_").replace(".", ",").replace("_", thousands)

    lines = [separator.join(written(float(v)) for v in row) for row in numbers]
    rows = read("\n".join([names, *lines]), "t.txt")
    np.testing.assert_array_equal(rows.values, numbers)
    assert rows.notes == (f"'{written(1234.5)}' and the like are read as 1234.5",)


def test_commas_between_thousands(read):
    rows = read('a,b\n"1,234.5",2\n"1,234",3\n')
    np.testing.assert_array_equal(rows.values, [[1234.5, 2], [1234, 3]])
    assert rows.notes == ("'1,234.5' and the like are read as 1234.5",)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a;b\n1.234;1\n2.345;950\n", 2), ('a,b\n1,2\n3,"1,234"\n', 3), ("a\tb\n5\t1,234\n", 2)],
)
def test_numbers_a_thousand_times_apart_are_never_read_by_guess(read, refusal, text, line):
    assert f"line {line}, column" in (told := refusal(read, text))
    assert 'which may be a fraction or thousands. Try decimal="." or decimal=",".' in told
    by_point, by_comma = (read(text, decimal=mark).values for mark in ".,")
    apart = np.abs(np.log10(by_comma / by_point)).round(9)
    assert set(apart.ravel()) == {0, 3}


def test_one_cell_of_the_file_decides(read):
    np.testing.assert_array_equal(read("a;b\n1.234;7,5\n").values, [[1234, 7.5]])
    np.testing.assert_array_equal(read("a;b\n1.234;7.5\n").values, [[1.234, 7.5]])
    np.testing.assert_array_equal(read("a;b\n1.234;1.234.567\n").values, [[1234, 1234567]])
    np.testing.assert_array_equal(read("a;b\n1.234;0.500\n").values, [[1.234, 0.5]])
    np.testing.assert_array_equal(
        read("a;b;c\n1.234;7,5;x\n", drop=("b", "c"), decimal=",").values, [[1234]]
    )


def test_a_wish_that_the_numbers_contradict_is_refused(read, refusal):
    assert "expected numbers whose decimal mark is ',', got '1.5'" in refusal(
        read, "a;b\n1,5;1.5\n", decimal=","
    )


@pytest.mark.parametrize("names", ["a,b", None])
def test_lines_of_number_signs_above_the_table(read, names):
    head = "# written on Monday, by hand\n#\n\n"
    rows = read(head + (f"{names}\n" if names else "") + "1,2\n3,4\n")
    np.testing.assert_array_equal(rows.values, [[1, 2], [3, 4]])
    assert rows.columns == (("a", "b") if names else ("column_1", "column_2"))
    assert rows.notes[0] == "2 lines of # above the table left out"
    np.testing.assert_array_equal(rows.lines, np.array([4, 5]) + (names is not None))


def test_names_behind_a_number_sign(tmp_path, read):
    np.savetxt(tmp_path / "n.txt", VALUES, delimiter=",", header="made by hand\na,b,c,d")
    rows = read((tmp_path / "n.txt").read_bytes())
    np.testing.assert_array_equal(rows.values, np.loadtxt(tmp_path / "n.txt", delimiter=","))
    assert rows.columns == tuple("abcd")
    assert rows.notes == ("1 line of # above the table left out",)
    np.savetxt(tmp_path / "n.txt", VALUES, header="a b c d")
    assert read((tmp_path / "n.txt").read_bytes()).columns == tuple("abcd")


LEFT_OUT = "the first column, which has no name and tells the rows apart, is left out"


@pytest.mark.parametrize(
    "text",
    [
        '"","a","b"\n"1",2,3\n"2",4,5\n',  # R's write.csv
        ",a,b\n0,2,3\n1,4,5\n",  # pandas
        '"a" "b"\n"Mazda RX4" 2 3\n"Fiat" 4 5\n',  # R's write.table
        "a,b\nMazda,2,3\nFiat,4,5\n",
        "a;b\nMazda;2;3\nFiat;4;5\n",
    ],
)
def test_row_names_are_left_out(read, text):
    rows = read(text)
    np.testing.assert_array_equal(rows.values, [[2, 3], [4, 5]])
    assert rows.columns == ("a", "b")
    assert rows.notes == (LEFT_OUT,)
    assert read(text, keep=("b",), rows_only=True).columns == ("b",)


def test_separators_at_line_ends_are_no_row_names(read, refusal):
    for text in ("a,b\n1,2,\n2,5,\n", 'a,b\n1,"2",\n2,5,\n'):
        assert "expected 2 columns, as in line 1, got 3" in refusal(read, text)


def test_a_column_more_costs_next_to_nothing(tmp_path):
    """Thousands of columns, as of genes, take as many steps as few; calls of Python are counted."""

    def calls(width: int) -> int:
        rows = np.random.default_rng(0).normal(size=(5, width)).round(3)
        names = ",".join(f"gene{i}" for i in range(width))
        text = "\n".join([names, *(",".join(map(str, row)) for row in rows)])
        (tmp_path / "wide.csv").write_text(text)
        count = [0]
        sys.setprofile(lambda frame, event, _: count.__setitem__(0, count[0] + (event == "call")))
        try:
            (read,) = read_source(str(tmp_path / "wide.csv"), Request())
        finally:
            sys.setprofile(None)
        np.testing.assert_array_equal(read.values, rows)
        return count[0]

    calls(2)  # imports
    assert (calls(420) - calls(20)) / 400 < 50
