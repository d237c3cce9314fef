"""Numbers with their errors as table cells, rounded as `str(Estimate)` rounds them; k-hats of rows."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from taut.core import Estimate, counted
from taut.evidence import Evidence

__all__ = [
    "Cells", "cells", "in_errors", "of_all_data", "paired_words", "percent", "rows_words",
    "worst_khats",
]  # fmt: skip


class Cells(NamedTuple):
    """An estimate, cell by cell.

    Attributes:
        value: the number.
        draws: its standard error over other draws; `0` where nothing was drawn.
        rows: its standard error over other rows; `-` where there is one row only.
        unit: its unit.
        side: its side and its flags, in words.
    """

    value: str
    draws: str
    rows: str
    unit: str
    side: str


def cells(estimate: Estimate) -> Cells:
    """The cells of an estimate."""
    value, draws, rows = estimate.rounded()
    one_row = math.isnan(estimate.data_error) and estimate.count == 1
    return Cells(
        value=value,
        draws="0" if estimate.mc_error == 0 else draws,
        rows="-" if one_row else rows,
        unit=estimate.unit,
        side=estimate.words,
    )


def of_all_data(estimate: Estimate) -> bool:
    """Whether it is of all data at once, as a program's: there are no other rows to err over."""
    return estimate.count == 1 and estimate.unit == "nats"


def in_errors(estimate: Estimate) -> str:
    """A value in units of its standard error over both draws and rows; `-` where that is unknown."""
    rows = 0.0 if of_all_data(estimate) else estimate.data_error
    error = math.hypot(estimate.mc_error, rows)
    if not (math.isfinite(error) and math.isfinite(estimate.value)):
        return "-"
    if error == 0:
        return "0.0" if estimate.value == 0 else "inf"
    return f"{estimate.value / error:+.1f}"


def rows_words(counts: Sequence[int]) -> str:
    """Numbers of rows that means are over: `1 row`, `40 or 60 rows`."""
    *others, last = counts
    return " or ".join([*(f"{count:,}" for count in others), counted(last, "row")])


def paired_words(differences: Iterable[Estimate], *, first: str = "") -> str:
    """What paired differences are over, and how many errors they are.

    Arguments:
        differences: the estimates.
        first: the run that others are compared with, where it is one of several.
    """
    counts = sorted({d.count for d in differences if not of_all_data(d)})
    whose = f" with {first}" if first else ""
    paired, errors = f"Of all data at once{whose and f', compared{whose}'}", "draws"
    if counts:
        paired, errors = f"Paired by row{whose}, over {rows_words(counts)}", "both draws and rows"
    return (
        f"{paired}. In errors: the difference divided by its standard error over {errors}; between -2 "
        "and 2 it says little."
    )


def worst_khats(evidence: Evidence, count: int) -> str:
    """The rows with the largest k-hat, unknown ones first; empty where no row has a tail or a k-hat."""
    if not np.any(evidence.khat > -math.inf):
        return ""
    worst = [(row, k) for row, k in evidence.worst_rows(count) if k != -math.inf]
    return ", ".join(f"{row} ({'unknown' if math.isnan(k) else f'{k:.2f}'})" for row, k in worst)


def percent(share: float) -> str:
    """A share in percent, with one decimal."""
    return f"{100 * share:.1f} %"
