"""HTML that taut writes: text is escaped, plots stay small, words have meanings."""

import numpy as np
import pytest
from pages import Page

from taut.core import Estimate
from taut.report.html import audited
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import MEANINGS, glossary, term
from taut.report.html.numbers import differences, estimates
from taut.report.html.page import Section, page
from taut.report.html.svg import Band, Line, Points, Rule, Steps, plot, ticks
from taut.report.numbers import cells

EVIL = "<script>alert(1)</script> & \"quoted\" 'too'"
RNG = np.random.default_rng(0)


def test_text_is_escaped_wherever_it_stands():
    made = joined(element("p", EVIL, title=EVIL), EVIL, element("td", [EVIL, 3]))
    found = Page(made)
    assert "script" not in found.tags
    assert found.text.count("<script>alert(1)</script> & \"quoted\" 'too'") == 3
    assert ("p", "title", EVIL) in found.attributes


def test_markup_is_not_escaped_twice():
    assert joined(element("b", "a & b"), Markup("<br>")) == "<b>a &amp; b</b><br>"


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\ud800", "\ufffe", "\x85"])
def test_characters_that_html_has_no_place_for_are_replaced(bad):
    made = element("p", f"a{bad}b")
    assert made.encode().decode() == made
    assert not set(made) & set("\x00\x1b\x85\ufffe")


def test_a_page_stands_alone_and_explains_its_words():
    numbers = {"held-out ELBO": Estimate(-3.0, "lower", 0.1, 0.2, 10), EVIL: Estimate(1.0, "exact")}
    body = estimates(numbers, caption=EVIL)
    text = page(EVIL, element("p", EVIL), [Section(EVIL, body)])
    found = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert MEANINGS["± rows"] in found.text
    assert found.row("held-out ELBO")[1:] == [*cells(numbers["held-out ELBO"])]


def test_of_many_quantities_the_least_calibrated_are_shown():
    inside = {"0.5": {"value": 0.5, "error": 0.1}}
    content = {
        "verdict": "not calibrated", "rows": 50, "notes": [],
        "band": {"at": [0.25, 0.75], "low": [0.2, 0.7], "high": [0.3, 0.8]},
        "quantities": {
            f"z[{i}]": {
                "p_value": (i * 7 % 30 + 1) / 30, "words": "calibrated", "coverage": inside,
                "distribution": [0.25, 0.75],
            }
            for i in range(30)
        },
    }  # fmt: skip
    found = Page(page("x", element("p", "y"), [Section("z", audited.calibration(content))]))
    by_p = sorted(content["quantities"], key=lambda n: content["quantities"][n]["p_value"])
    shown = [name for name in by_p if any(row[0] == name for row in found.rows if row)]
    assert by_p[0] in shown
    assert by_p[-1] not in shown
    assert found.row(by_p[0])[2] == f"{1 / 30:.2g}"


def test_a_flag_that_must_not_be_read_over_is_marked():
    def made(*flags):
        number = Estimate(-3.0, "lower", 0.1, 0.2, 10, flags=frozenset(flags))
        return estimates({"ELBO": number}, caption="x")

    assert "warns" in made("unreliable")
    assert "warns" not in made()


def test_a_difference_says_how_many_errors_it_is():
    found = Page(page("x", joined(), [Section("x", differences(
        {"log-evidence": Estimate(-3.0, "none", 0.3, 0.4, 10)}, caption="a less b"
    ))]))  # fmt: skip
    assert found.row("log-evidence")[4] == "-6.0"


def test_the_glossary_holds_the_words_of_the_page_alone():
    said = glossary(joined(term("side"), term("nothing that is known")))
    assert MEANINGS["side"] in Page(said).text
    assert said.count("<dt>") == 1


@pytest.mark.parametrize("name", MEANINGS)
def test_every_meaning_is_reached_from_its_word(name):
    found = Page(joined(term(name), glossary(term(name))))
    assert ("a", "aria-describedby", found.ids[0]) in found.attributes


def test_a_plot_does_not_grow_with_its_data():
    def size(count):
        x = np.linspace(0, 1, count)
        marks = [
            Line(x, RNG.normal(size=count), label="line"), Band(x, x - 1, x + 1),
            Points(RNG.normal(size=count), x),
        ]  # fmt: skip
        return len(plot(marks, title="t", x="x", y="y"))

    assert size(300_000) < 1.1 * size(3_000)
    assert size(300_000) < 60_000


def test_a_line_has_a_gap_where_it_is_not_finite():
    y = np.asarray([0.0, 1.0, np.nan, 1.0, 0.0, np.inf, 2.0])
    made = plot([Line(np.arange(7.0), y)], title="t", x="x", y="y")
    assert made.count("M") == 3
    assert "nan" not in made
    assert "inf" not in made


@pytest.mark.parametrize(
    "values",
    [
        [], [np.nan], [0.0], [1e300, -1e300], [1.7e308, -1.7e308],
        [5e-324, 1e-323], [1e9, 1e9 + 1e-3], [-np.inf, np.inf],
        [3.0, 3.0],
    ],
)  # fmt: skip
def test_extreme_values_are_drawn(values):
    y = np.asarray(values, np.float64)
    marks = [
        Line(np.arange(float(len(y))), y), Points(y, y), Rule(y=0.0), Rule(x=1.0, label="here"),
        Steps(np.arange(len(y) + 1.0), y),
    ]  # fmt: skip
    made = plot(marks, title="t", x="x", y="y")
    Page(made)
    assert "nan" not in made
    assert "inf" not in made


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 1e4), (1e-9, 2e-9), (99.9, 100.1)])
def test_ticks_are_round_and_few_and_within(low, high):
    found = ticks(low, high)
    steps = np.diff(found)
    assert 2 <= len(found) <= 7
    assert low - 1e-9 * (high - low) <= found[0] <= found[-1] <= high + 1e-9 * (high - low)
    np.testing.assert_allclose(steps, steps[0])
    assert f"{steps[0]:.0e}"[0] in "125"
