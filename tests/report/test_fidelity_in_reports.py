"""A report shows how like real rows the model's are, as `taut fidelity` printed it."""

import numpy as np
import pytest
from pages import Page
from rich.console import Console

from taut.audit.fidelity import Fidelity, Likeness
from taut.audit.nearest_records import NearestRecords
from taut.report.fidelity import fidelity_page, record_words
from taut.report.html import audited
from taut.report.html.markup import Markup
from taut.report.html.page import Section, page

TRENDS = np.array([[np.nan, 0.7], [0.7, np.nan]])


@pytest.mark.parametrize(
    ("share", "error", "told"),
    [
        (0.51, 0.1, {}), (0.51, 0.01, {}),
        (0.97, 0.1, {"of": "new.csv", "synthetic_source": "made.csv"}),
    ],
)  # fmt: skip
def test_a_report_says_what_the_terminal_says(share, error, told, tmp_path):
    found = Fidelity(
        ("a", "b"), Likeness(np.array([0.91, 0.62]), TRENDS, 0.33),
        Likeness(np.array([0.95, 0.94]), np.full((2, 2), np.nan), 0.98),
        NearestRecords(share, 0.5, 0.02, 0.25, 0.125, error), (40, 80, 20),
    )  # fmt: skip
    shown = Page(
        page("", Markup(""), [Section("fidelity", audited.fidelity({**told, **found.to_dict()}))])
    )
    with (tmp_path / "terminal").open("w+") as file:
        fidelity_page(Console(file=file, width=400), found, **told)
        file.seek(0)
        printed = [line.strip() for line in file]
    assert shown.row("shapes of columns")[1:] == ["0.765", "0.945"]
    assert shown.row("trends of pairs")[1:] == ["0.700", "-"]
    assert shown.row("classifier two-sample test")[1:] == ["0.330", "0.980"]
    assert "least alike: b 0.620, a 0.910." in shown.text
    for begin in ("Nearest to a training row: ", "Verdict: ", "40 synthetic rows"):
        (line,) = (line for line in printed if line.startswith(begin))
        assert line.rstrip(".") in shown.text
    assert ("rows of made.csv, " in shown.text) == bool(told)
    assert ("20 held-out ones of new.csv" in shown.text) == bool(told)
    unmarked = "copies of training rows" if error == 0.01 else "no row is remembered"
    assert f"Verdict: {'training rows show' if share > 0.9 else unmarked}" in shown.text


def test_a_comparison_of_an_earlier_version_has_its_verdict():
    records = NearestRecords(0.5, 0.5, 0.02, 0.25, 0.125, 0.01)._asdict() | {"memorised": False}
    del records["copies_error"]
    assert record_words(records)[1] == "Verdict: no row is remembered"
