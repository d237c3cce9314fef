"""What notebooks show: numbers with side and errors, small, and nothing of the user's as markup."""

import numpy as np
import polars as pl
import pytest
from pages import Page

from taut.api import em, infer, load_data
from taut.core import Estimate
from taut.report.numbers import cells

EVIL = "<script>alert('x')</script>"
ROWS = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture(scope="module")
def data():
    return load_data(pl.DataFrame({EVIL: ROWS[:, 0], "b": ROWS[:, 1], "c": ROWS[:, 2]}))


@pytest.fixture(scope="module")
def fit(data):
    return em(data, model="ppca", components=1)


def shown(value):
    """The repr, taken apart."""
    text = value._repr_html_()
    assert len(text) < 12_000
    found = Page(text)
    assert not {"script", "style", "link"} & set(found.tags)
    assert not found.links
    return found


@pytest.mark.parametrize(
    "number",
    [
        Estimate(-88.71, "lower", 0.02, 0.24, 180), Estimate(-3.0, "exact"),
        Estimate(float("-inf"), "none", count=3, flags=frozenset({"not finite"})),
    ],
)  # fmt: skip
def test_an_estimate_reads_as_its_repr(number):
    assert shown(number).text == str(number)


def test_a_fit_shows_every_number(fit):
    found = shown(fit)
    for name, words in (("log_evidence", "log-evidence"), ("independent_columns", "columns alone")):
        assert found.row(words)[1:] == [*cells(fit.estimates[name])]
    assert f"{fit.facts.rows.train} rows trained on" in found.text


def test_a_summary_is_what_the_command_line_prints(fit):
    said = fit.summary()
    assert repr(said) == str(said)
    number = cells(fit.estimates["log_evidence"])
    line = next(line for line in said.splitlines() if line.startswith("log-evidence"))
    assert line.split()[1:4] == [number.value, number.draws, number.rows]
    assert "model" in said
    assert "ppca" in said


def test_an_evidence_shows_its_numbers(fit, data):
    found = shown(fit.evaluate(data.test))
    assert found.row("log-evidence")[-1] == "exact"


def test_data_show_their_columns_as_text(data):
    found = shown(data)
    assert found.row(EVIL) == [EVIL, "real"]
    assert data.describe() in found.text


def test_a_wide_table_and_many_notes_stay_small():
    wide = load_data(np.random.default_rng(0).normal(size=(40, 900)))
    assert "888 more columns." in shown(wide).text


def test_a_posterior_shows_its_verdict_and_first_coordinates():
    support = {f"a{i}": "real" for i in range(12)}
    fitted = infer(
        lambda p: -sum((p[name] - 1.0) ** 2 for name in support) / 2, support=support,
        guide="laplace",
    )  # fmt: skip
    found = shown(fitted)
    assert str(fitted.verdict) in found.text
    mean, error = map(float, found.row("a0")[1].split(" ± "))
    assert abs(mean - fitted.resampled.mean[0]) <= error
    assert "2 more coordinates." in found.text
    said = fitted.summary()
    assert str(fitted.verdict) in said
    assert all(name in said for name in fitted.coordinates)
