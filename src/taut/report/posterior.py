"""Tables of a posterior: its bounds, its verdict, and every coordinate under the guide and resampled."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console

from taut.core import Estimate, counted_are
from taut.report.numbers import cells
from taut.report.tables import _pm, _print_facts, _print_line, _print_notes, _print_table

__all__ = ["coordinate_table", "digits_of", "number", "posterior_table"]

_MOST = 40  # lines of a table in a terminal


def posterior_table(
    console: Console,
    estimates: Mapping[str, Estimate],
    *,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> None:
    """Print the bounds of a posterior, then facts, then notes.

    Arguments:
        console: where to print.
        estimates: by the words that name them.
        facts: by name.
        notes: printed last, as sentences.
    """
    rows = [
        (name, row.value, row.draws, row.unit, row.side)
        for name, row in ((name, cells(e)) for name, e in estimates.items())
    ]
    headings = ["", "value", f"{_pm(console)} draws", "unit", "side"]
    _print_table(console, headings, rows, words=(0, 3, 4))
    _print_facts(console, facts)
    _print_notes(console, notes)


def coordinate_table(console: Console, columns: Mapping[str, Sequence]) -> None:
    """Print coordinates under the guide and resampled, with Monte Carlo errors.

    Arguments:
        console: where to print.
        columns: as `taut.fitted.coordinate_columns` gives them.
    """
    quantiles = [n for n in columns if n.startswith("resampled_q") and not n.endswith("_error")]
    rows = []
    for i, name in enumerate(columns["coordinate"][:_MOST]):
        digits = digits_of(columns["resampled_mean_error"][i], columns["resampled_sd"][i])
        spread = digits_of(columns["resampled_sd_error"][i], columns["resampled_sd"][i])
        rows.append((
            str(name),
            number(columns["guide_mean"][i], digits),
            number(columns["guide_sd"][i], spread),
            number(columns["resampled_mean"][i], digits),
            number(columns["resampled_mean_error"][i], digits),
            number(columns["resampled_sd"][i], spread),
            number(columns["resampled_sd_error"][i], spread),
            *(number(columns[q][i], digits) for q in quantiles),
        ))  # fmt: skip
    pm = _pm(console)
    headings = ["", "guide mean", "guide sd", "mean", pm, "sd", pm]
    headings += [f"{q.removeprefix('resampled_q')} %" for q in quantiles]
    _print_table(console, headings, rows, words=(0,))
    left_out = len(columns["coordinate"]) - len(rows)
    told = f" {counted_are(left_out, 'more coordinate')} in coordinates.csv."
    _print_line(
        console,
        f"Under the guide, then of the weighted draws; {pm}: standard error over other draws."
        f"{told if left_out else ''}",
    )


def digits_of(error: float, scale: float) -> int:
    """Digits after the point: one of the error, or three of the scale where there is none."""
    size = error if math.isfinite(error) and error > 0 else scale / 100
    if not (math.isfinite(size) and size > 0):
        return 4
    return min(max(-math.floor(math.log10(size)), 0), 12)


def number(value: float, digits: int) -> str:
    """A number with so many digits after the point, or the word for one that is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else str(value)
