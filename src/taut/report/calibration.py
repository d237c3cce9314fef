"""What `taut calibrate` prints and draws."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from taut.audit import Calibration, Quantity
from taut.audit.calibration import LEVEL
from taut.audit.uniformity import TIMES, band
from taut.report.figures.calibration import calibration as figure
from taut.report.tables import _print_line, _print_notes, _print_table

__all__ = ["calibration_table", "draw_calibration", "plain_calibration"]

_SHOWN = 12
_PROBABILITIES = (0.5, 0.9)


def calibration_table(console: Console, found: Calibration) -> None:
    """Print the quantities, coverage of their central intervals, and the verdict."""
    failing = found.failing
    calm = [quantity for quantity in found.quantities if quantity.passes]
    shown = [*failing, *sorted(calm, key=lambda quantity: quantity.p_value)][:_SHOWN]
    rows = [
        (q.name, *(_percent(q, p) for p in _PROBABILITIES), _p_value(q.p_value), q.words)
        for q in shown
    ]
    headings = ["quantity", "in 50 % interval", "in 90 % interval", "p-value", "the guide's draws"]
    _print_table(console, headings, rows, words=(0, 4))
    left = len(found.quantities) - len(shown)
    if left:
        _print_line(console, f"{left} more, with p-values no smaller than these.")
    _print_line(
        console,
        f"p-values are of uniform ranks, times {len(found.quantities)} for the quantities; below "
        f"{LEVEL:g} the guide is not the posterior.",
    )
    _print_notes(console, found.notes)
    _print_line(console, f"Verdict: {found.verdict}.")


def draw_calibration(found: Calibration, path: Path) -> Path:
    """Draw the ranks' distribution functions."""
    limits = band(found.num_rows, LEVEL / len(found.quantities))
    curves = {q.name: _curve(q) for q in found.quantities}
    return figure(path, TIMES, curves, [q.name for q in found.failing], limits.low, limits.high)


def plain_calibration(found: Calibration) -> dict[str, Any]:
    """As `--json` prints it."""
    limits = band(found.num_rows, LEVEL / len(found.quantities))
    return {
        "calibrated": found.passes,
        "verdict": found.verdict,
        "notes": list(found.notes),
        "rows": found.num_rows,
        "draws": found.num_draws,
        "band": {"at": TIMES.tolist(), "low": limits.low.tolist(), "high": limits.high.tolist()},
        "quantities": {
            q.name: {
                "p_value": q.p_value,
                "words": q.words,
                "coverage": {
                    f"{p:g}": dict(zip(("value", "error"), q.coverage(p), strict=True))
                    for p in _PROBABILITIES
                },
                "distribution": _curve(q).tolist(),
            }
            for q in found.quantities
        },
    }


def _curve(quantity: Quantity) -> np.ndarray:
    """F at `TIMES`."""
    return np.searchsorted(np.sort(quantity.ranks), TIMES, side="right") / len(quantity.ranks)


def _percent(quantity: Quantity, probability: float) -> str:
    inside, error = quantity.coverage(probability)
    return f"{100 * inside:.1f} ± {100 * error:.1f} %"


def _p_value(value: float) -> str:
    return "< 1e-6" if value < 1e-6 else f"{value:.2g}"
