"""What a page, a notebook or a terminal leaves out is counted, also where it is one."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from pages import Page
from rich.console import Console
from unchecked import types_unchecked

from taut.api import load_data
from taut.evidence import PosteriorMoments
from taut.fitted import coordinate_columns
from taut.report.html import reprs, sections
from taut.report.html.page import Section, page
from taut.report.html.reported import Reported
from taut.report.html.rows import _columns
from taut.report.posterior import coordinate_table

RNG = np.random.default_rng(0)


def _text(body: Any) -> str:
    return Page(page("", body, [Section("", body)])).text


def _table(numbers: int, categories: int) -> Any:
    named = {f"x{i}": RNG.normal(size=60) for i in range(numbers)}
    named |= {f"c{i}": np.take(["Ulm", "Bonn"], np.arange(60) % 2) for i in range(categories)}
    return load_data(pl.DataFrame(named))


def _moments(count: int) -> PosteriorMoments:
    each, three = np.ones(count), np.ones((count, 3))
    return PosteriorMoments(
        mean=each, mean_error=each, sd=each, sd_error=each, quantiles=three, quantile_errors=three,
        probabilities=(0.05, 0.5, 0.95),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "categories", "equal", "said"),
    [
        (13, 1, True, "2 more columns are not shown."),
        (12, 1, True, "1 more column is not shown."),
        (0, 1, True, "1 column is not shown."),
        (13, 1, False, "2 more columns are not shown."),
        (12, 0, True, None),
        (12, 1, False, "1 more column is not shown."),
    ],
)
def test_columns_without_a_plot(numbers, categories, equal, said):
    data = _table(numbers, categories)
    made = _columns(
        data.schema,
        np.asarray(data.train.x, float),
        lambda i: [],
        x="",
        y="",
        title="",
        equal=equal,
    )
    text = _text(made)
    assert said in text if said else "not shown" not in text


@pytest.mark.parametrize(("left", "said"), [(1, "1 more column"), (2, "2 more columns")])
def test_columns_without_a_line(left, said):
    verb = "is" if left == 1 else "are"
    assert f"{said} {verb} not shown." in _text(sections._columns(_table(200 + left, 0).schema))
    assert f"{said}." in _text(reprs.data(_table(12 + left, 0)))


@pytest.mark.parametrize(
    ("left", "said", "verb", "notes"),
    [
        (1, "1 more coordinate", "is", "1 more note."),
        (2, "2 more coordinates", "are", "2 more notes."),
    ],
)
def test_coordinates_without_a_line(left, said, verb, notes):
    def columns(shown: int) -> Any:
        count = shown + left
        return coordinate_columns([f"b{i}" for i in range(count)], _moments(count), _moments(count))

    made = sections._posterior(Reported(name="", result=Path("run"), coordinates=columns(60)))
    assert f"{said} {verb} in coordinates.csv." in _text(made)
    console = Console(file=io.StringIO(), width=400)
    coordinate_table(console, columns(40))
    assert f"draws. {said} {verb} in coordinates.csv." in console.file.getvalue()
    names = tuple(f"b{i}" for i in range(10 + left))
    found: Any = SimpleNamespace(
        raw=_moments(10 + left), resampled=_moments(10 + left), coordinates=names,
        model=SimpleNamespace(name="program"), family="laplace", layers="", verdict="believe",
        estimates={}, notes=tuple("n" * (5 + left)),
    )  # fmt: skip
    with types_unchecked():
        text = _text(reprs.posterior(found))
    assert f"{said}." in text
    assert notes in text
