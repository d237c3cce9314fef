"""A category, yes or no, or a date is named in the words of its source, never by a code."""

import html
import re
from datetime import date

import numpy as np
import polars as pl
import pytest

import taut
from taut.core import InputError
from taut.data import cell_words
from taut.data.one_row import row_of
from taut.report.html.reprs import data as shown
from taut.report.html.sections import _columns as listed

RNG = np.random.default_rng(0)
N = 90


def words_of(markup):
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", str(markup))).split())


@pytest.fixture(scope="module")
def constant():
    frame = pl.DataFrame({
        "town": ["Ulm"] * N, "day": [date(2020, 2, 1)] * N, "number": [7.0] * N,
        "truth": ["yes"] * N, "y": RNG.normal(size=N), "kind": RNG.choice(["u", "v"], N),
    })  # fmt: skip
    return taut.load_data(frame)


@pytest.mark.parametrize("table", [lambda d: shown(d), lambda d: listed(d.schema)])
def test_in_tables_of_columns(constant, table):
    text = words_of(table(constant))
    for words in ("always 'Ulm'", "always 2020-02-01", "always 'yes'", "always 7"):
        assert words in text


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"day": "2020-02-02"}, "expected 2020-02-01, the one value of the column, got 2020-02-02"),
        ({"number": 8}, "expected 7, the one value of the column, got 8"),
    ],
)
def test_where_a_row_has_another_value_than_a_constant(constant, given, line):
    with pytest.raises(InputError, match=line):
        row_of(given, constant.schema, where="given")


def test_where_classes_are_fitted_to_rows_that_lack_a_category():
    frame = pl.DataFrame({"color": ["blue", "green", "red"] * 30, "truth": ["no", "yes"] * 45})
    colors = frame["color"].to_list()
    colors[int(taut.load_data(frame).test.index[0])] = "violet"
    data = taut.load_data(frame.with_columns(color=pl.Series(colors)))
    fitted = taut.em(data, model="lca", components=1)
    assert any("column 'color' is 'violet' in no training row" in n for n in fitted.facts.notes)
    architecture = taut.LCA(1, codes=((0, 1), (0, 1)))
    x = np.asarray(data.test[:1].x)
    line = "one of the values 'blue', 'green' that column 'color' had .*, got 'violet'"
    with pytest.raises(InputError, match=line):
        architecture.check(data.schema, x, where="rows")


def test_a_code_that_a_column_does_not_have_stays_a_number(constant):
    assert cell_words(constant.schema, 5, 2.0) == "2"
    assert cell_words(constant.schema, 4, 0.25) == "0.25"
    assert cell_words(taut.load_data(np.eye(20)[:, :2]).schema, 0, 1.0) == "1"
