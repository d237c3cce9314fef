"""A report shows the ends of a log-evidence that `taut evaluate` printed."""

from dataclasses import replace

import numpy as np
import pytest
from pages import Page
from rich.console import Console

from taut.audit import RefitBracket
from taut.cli.evaluate import as_json
from taut.core import CALIBRATED, Estimate
from taut.evidence import Evidence
from taut.evidence.bracket import Bracket, Step, bracket_of
from taut.report import tables
from taut.report.html import audited
from taut.report.html.markup import Markup
from taut.report.html.page import Section, page
from taut.report.numbers import cells

NUMBER = Estimate.from_rows([-3.0, -4.5], side="lower", mc_errors=0.02)
UPPER = Estimate(-3.5, "none", 0.03, 0.4, 2, flags=frozenset({CALIBRATED}))


def _evidence(upper: Estimate | None) -> Evidence:
    return Evidence(
        log_evidence=NUMBER, elbo=NUMBER, reconstruction=NUMBER, kl=NUMBER, num_particles=9,
        ess=np.ones(2), khat=np.zeros(2), halves=np.zeros(2), khat_threshold=0.7, index=np.arange(2),
        upper=upper, notes=() if upper else ("no upper end: for a reason",),
    )  # fmt: skip


def _page(body: Markup) -> Page:
    return Page(page("", Markup(""), [Section("numbers", body)]))


def _bracket(upper: Estimate | None) -> Bracket:
    found = bracket_of((Step("importance", _evidence(upper), 1.0),))
    assert found is not None
    return replace(found, stopped="precision", why_stopped="it is narrow enough")


@pytest.mark.parametrize("upper", [UPPER, None], ids=["upper end", "none"])
def test_a_report_quotes_what_the_terminal_quotes(upper, tmp_path):
    bracket = _bracket(upper)
    methods = {"importance": as_json(bracket.evidence)}
    content = {"of": "test", "rows": 2, "methods": methods, "bracket": bracket.to_dict()}
    found = _page(audited.evaluation(content))
    with (tmp_path / "terminal").open("w+") as file:
        tables.bracket_table(Console(file=file, width=400), bracket, {})
        file.seek(0)
        (said,) = (line.strip() for line in file if line.startswith("Quote "))
    assert said in found.text
    low, high = bracket.ends
    assert (f"{low:.2f} to {high:.2f}" if upper else "No end above it.") in said
    shown = [row for row in found.rows if row and row[0].startswith("upper end")]
    assert [row[1:] for row in shown] == ([[*cells(UPPER)]] if upper else [])


@pytest.mark.parametrize("bounded", [True, False], ids=["exact", "without a bound"])
def test_of_an_exact_number_no_draws_are_told(bounded):
    exact = Estimate.from_rows([-3.0, -4.5], side="exact")
    exact = exact if bounded else exact.without_bound()
    evidence = replace(_evidence(None), log_evidence=exact, num_particles=1000)
    content = {"of": "test", "rows": 2, "methods": {"importance": as_json(evidence)}}
    bracket = bracket_of((Step("importance", evidence, 1.0),))
    assert bracket is not None
    content["bracket"] = replace(bracket, stopped="exact").to_dict()
    found = _page(audited.evaluation(content))
    assert found.row("log-evidence, importance")[1:] == [*cells(exact)]
    assert "1000" not in found.text
    assert "draws per row" not in found.text


@pytest.mark.parametrize("upper", [UPPER, None], ids=["upper end", "none"])
def test_a_report_has_both_ends_of_a_program(upper):
    ends = np.array([1.0, np.nan])
    both = RefitBracket(NUMBER, upper, ends, ends, "" if upper else "no refits", ("a note",))
    found = _page(audited.bracket(both.to_dict()))
    assert found.row("log-evidence")[1:] == [*cells(NUMBER)]
    if upper:
        assert found.row("upper end")[1:] == [*cells(UPPER)]
    assert ("no upper end: no refits." in found.text) == (upper is None)
    assert "a note." in found.text
