"""Numbers with their errors as table cells, rounded as `str(Estimate)` rounds them.

All three have as many decimals as two digits of the smallest error need, so that no error is ever
printed as zero unless it is zero.
"""

import math
from typing import NamedTuple

from taut.core import Estimate, Side

__all__ = ["Cells", "cells", "in_errors", "percent"]

_SIDE_NAMES: dict[Side, str] = {
    "exact": "exact",
    "unbiased": "unbiased",
    "lower": "lower bound",
    "upper": "upper bound",
    "none": "neither bound",
}
_MOST_DECIMALS = 8
_DECIMALS_OF_EXACT = 4


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
    digits = _decimals(estimate)
    one_row = math.isnan(estimate.data_error) and estimate.count == 1
    return Cells(
        value=f"{estimate.value:.{digits}f}",
        draws="0" if estimate.mc_error == 0 else _error(estimate.mc_error, digits),
        rows="-" if one_row else _error(estimate.data_error, digits),
        unit=estimate.unit,
        side=", ".join([_SIDE_NAMES[estimate.side], *sorted(estimate.flags)]),
    )


def in_errors(estimate: Estimate) -> str:
    """A value in units of its standard error over both draws and rows; `-` where that is unknown."""
    error = math.hypot(estimate.mc_error, estimate.data_error)
    if not (math.isfinite(error) and math.isfinite(estimate.value)):
        return "-"
    if error == 0:
        return "0.0" if estimate.value == 0 else "inf"
    return f"{estimate.value / error:+.1f}"


def percent(share: float) -> str:
    """A share in percent, with one decimal."""
    return f"{100 * share:.1f} %"


def _decimals(estimate: Estimate) -> int:
    errors = [e for e in (estimate.mc_error, estimate.data_error) if math.isfinite(e) and e > 0]
    if not math.isfinite(estimate.value):
        return 0
    if not errors:
        return _DECIMALS_OF_EXACT
    return min(max(1 - math.floor(math.log10(min(errors))), 0), _MOST_DECIMALS)


def _error(error: float, digits: int) -> str:
    return "unknown" if math.isnan(error) else f"{error:.{digits}f}"
