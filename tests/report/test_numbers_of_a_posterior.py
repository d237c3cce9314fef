"""Every number of a posterior stands where its heading says: in a terminal, on a page, in a notebook."""

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from unchecked import types_unchecked

from taut.evidence import PosteriorMoments
from taut.fitted import coordinate_columns
from taut.report.html.markup import Markup, element
from taut.report.html.reported import Reported
from taut.report.html.reprs import posterior
from taut.report.html.sections import sections
from taut.report.posterior import coordinate_table


def _moments(first: float) -> PosteriorMoments:
    """Numbers of one coordinate, no two of which are alike."""
    one = np.ones(1)
    return PosteriorMoments(
        mean=first * one, mean_error=0.3 * one, sd=(first + 1) * one, sd_error=0.4 * one,
        quantiles=first + np.array([[2.0, 3.0, 4.0]]), quantile_errors=0.5 * np.ones((1, 3)),
        probabilities=(0.05, 0.5, 0.95),
    )  # fmt: skip


RAW, RESAMPLED = _moments(10.0), _moments(20.0)
COLUMNS = coordinate_columns(["sigma"], RAW, RESAMPLED)
RUN = Reported(name="run", result=Path("run"), coordinates=COLUMNS)


def _cells(text: str) -> str:
    """The numbers of the line that begins with the name of the coordinate."""
    row = re.search(r"sigma(?!\w)(.*?)(?:</tr>|\n)", text, re.DOTALL)
    assert row is not None
    return " ".join(re.findall(r"-?\d+\.\d+", row.group(1)))


def test_a_terminal_has_each_number_under_its_heading():
    console = Console(file=io.StringIO(), width=100)
    coordinate_table(console, COLUMNS)
    text = console.file.getvalue()
    assert _cells(text) == "10.0 11.0 20.0 0.3 21.0 0.4 22.0 23.0 24.0"
    heads = " ".join(text.strip().splitlines()[0].split())
    assert heads == "guide mean guide sd mean ± sd ± 5 % 50 % 95 %"


def test_a_page_has_each_number_under_its_heading():
    (body,) = [section.body for section in sections(RUN) if section.title == "Posterior"]
    heads = [re.sub("<.*?>", "", head) for head in re.findall("<th[ >].*?</th>", str(body))]
    wanted = ("mean", "sd", "5 %", "50 %", "95 %", "guide mean", "guide sd")
    assert all(head.startswith(word) for head, word in zip(heads, wanted, strict=False))
    assert _cells(str(body)) == "20.0 0.3 21.0 0.4 22.0 23.0 24.0 10.0 11.0"


def test_a_notebook_has_each_number_under_its_heading():
    found: Any = SimpleNamespace(
        raw=RAW, resampled=RESAMPLED, coordinates=("sigma",), model=SimpleNamespace(name="program"),
        family="laplace", layers="", verdict="believe", estimates={}, notes=(),
    )  # fmt: skip
    with types_unchecked():
        assert _cells(str(posterior(found))) == "20.0 0.3 21.0 0.4 22.0 23.0 24.0"


def test_histograms_are_of_weighted_draws_and_of_the_guides_own(monkeypatch):
    generator = np.random.default_rng(0)
    values, weights = np.sort(generator.normal(size=60)), generator.random(60)
    run = replace(RUN, draws={"sigma": values}, weights=weights / weights.sum(), num_guide=25)
    shown: list[Any] = []

    def plot(marks: Any, **_: Any) -> Markup:
        shown.extend(marks)
        return element("p", "a figure")

    monkeypatch.setattr("taut.report.html.sections.plot", plot)
    sections(run)
    weighted, guide, mean = shown
    own, edges = np.histogram(values[:25], weighted.edges)
    np.testing.assert_allclose(guide.heights, own / 25)
    np.testing.assert_allclose(
        weighted.heights, np.histogram(values, edges, weights=run.weights)[0]
    )
    assert mean.x == pytest.approx(float(run.weights @ values))
