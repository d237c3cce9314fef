"""Tables of a posterior: errors decide digits, and long tables say what they left out."""

import io

import numpy as np
import pytest
from rich.console import Console

from taut.core import Estimate
from taut.evidence import PosteriorMoments
from taut.fitted import coordinate_columns
from taut.report.posterior import coordinate_table, posterior_table


def printed(show, *arguments, **options) -> str:
    console = Console(file=io.StringIO(), width=60)
    show(console, *arguments, **options)
    return console.file.getvalue()


def moments(count: int, *, scale: float = 1.0) -> PosteriorMoments:
    one = np.full(count, scale)
    return PosteriorMoments(
        mean=1.23456 * one, mean_error=0.02 * one, sd=0.98765 * one, sd_error=0.003 * one,
        quantiles=np.outer(one, [-1.0, 1.2, 3.0]), quantile_errors=0.05 * np.outer(one, np.ones(3)),
        probabilities=(0.05, 0.5, 0.95),
    )  # fmt: skip


def test_columns_hold_every_moment_of_both():
    columns = coordinate_columns(["a", "b"], moments(2), moments(2, scale=2.0))
    assert columns["coordinate"] == ["a", "b"]
    assert columns["guide_mean"] == [1.23456] * 2
    assert columns["resampled_sd_error"] == [0.006] * 2
    assert columns["resampled_q95"] == [6.0] * 2
    assert {len(column) for column in columns.values()} == {2}
    assert len(columns) == 1 + 2 * (4 + 2 * 3)


@pytest.mark.parametrize(
    ("scale", "cells"),
    [
        (1.0, "1.23 0.988 1.23 0.02 0.988 0.003 -1.00 1.20 3.00"),
        (1e-3, "0.00123 0.000988 0.00123 0.00002 0.000988 0.000003 -0.00100 0.00120 0.00300"),
        (1e4, "12346 9876 12346 200 9876 30 -10000 12000 30000"),
        (0.0, "0.0000 0.0000 0.0000 0.0000 0.0000 0.0000 -0.0000 0.0000 0.0000"),
        (np.nan, " ".join(["nan"] * 9)),
    ],
)
def test_errors_decide_the_digits(scale, cells):
    made = moments(1, scale=scale)
    text = printed(coordinate_table, coordinate_columns(["sigma"], made, made))
    line = next(line for line in text.splitlines() if line.startswith("sigma"))
    assert line.split()[1:] == cells.split()


def test_long_tables_say_what_they_left_out():
    made = moments(45)
    text = printed(coordinate_table, coordinate_columns([f"b[{i}]" for i in range(45)], made, made))
    assert "b[39]" in text
    assert "b[40]" not in text
    assert "5 more coordinates are in coordinates.csv." in text


def test_bounds_facts_and_notes():
    estimates = {"ELBO": Estimate(-31.5488, "lower", 0.0102, unit="nats")}
    facts, notes = {"verdict": "believe: k-hat 0.10."}, ("two starts were drawn again",)
    lines = printed(posterior_table, estimates, facts=facts, notes=notes).split("\n")
    row = next(line for line in lines if line.startswith("ELBO"))
    assert row.split() == ["ELBO", "-31.55", "0.01", "nats", "lower", "bound"]
    assert any(line.split("  ")[-1] == "believe: k-hat 0.10." for line in lines)
    assert "Note: two starts were drawn again" in lines
