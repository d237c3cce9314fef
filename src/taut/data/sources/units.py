"""Numbers with one unit beside them, and with blanks or apostrophes between thousands, in cells of text.

    12 %   $1.50   -3 €   USD 7   12 kg      a number and a unit
    1 234,5   1'234                          thousands apart

A column is read so where all of its cells are: with one and the same unit, or none. Letters are a unit
behind at least three different numbers only, for `2wd` and `4wd` are names.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from taut.data.sources.words import words

__all__ = ["one_unit", "unit_note", "without_units"]

_SIGN = r"[+\-−]?"
_BETWEEN = " \u00a0\u202f'’"
_NUMBER = rf"(?:\d[\d.,]*(?:[{_BETWEEN}]\d{{3}})*(?:[.,]\d+)?|[.,]\d+)(?:[eE][+\-]?\d+)?"
_BEFORE = r"[$€£¥₹]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD"
_BEHIND = r"[%‰$€£¥₹]|[A-Za-z°µ][A-Za-z°µ/²³]*"
_MEASURED = rf"^({_SIGN})\s*({_BEFORE})?\s*({_SIGN}{_NUMBER})\s*({_BEHIND})?$"
_ODD = r"\d.*[^0-9.,eE+\-]|[^0-9.,eE+\-].*\d"
_FEWEST = 3


def without_units(cells: Any, width: int) -> tuple[Any, tuple[str, ...]]:
    """The cells with numbers alone where a column has one unit, and the unit of each column or ''.

    Arguments:
        cells: of text, row after row, as one Polars series.
        width: number of columns.
    """
    odd = cells.str.contains(_ODD).fill_null(value=False).to_numpy().reshape(-1, width)
    units, found = [""] * width, {}
    for i in np.flatnonzero(odd.any(axis=0)).tolist():
        column = _measured(cells.gather_every(width, i))
        if column is not None:
            found[i], units[i] = column
    if not found:
        return cells, tuple(units)
    grid = cells.to_numpy().reshape(-1, width).copy()
    for i, numbers in found.items():
        grid[:, i] = numbers.to_numpy()
    return type(cells)(cells.name, grid.ravel(), dtype=cells.dtype), tuple(units)


def _measured(column: Any) -> tuple[Any, str] | None:
    """The numbers of a column of measures and their unit; None of another column."""
    import polars as pl

    known = words(column).str.strip_chars("'")
    parts = known.str.extract_groups(_MEASURED).struct.unnest()
    sign, before, number, behind = (parts[name].fill_null("") for name in parts.columns)
    given = known.is_not_null()
    units = (before + behind).filter(given).unique().to_list()
    if (number.filter(given) == "").any() or len(units) != 1:
        return None
    few = number.filter(given).n_unique() < _FEWEST
    if few and units[0][:1].isalpha() and not (before != "").any():
        return None
    numbers = (sign + number).str.replace_all("−", "-", literal=True)
    numbers = numbers.str.replace_all(f"[{_BETWEEN}]", "")
    kept = pl.DataFrame({"known": known, "numbers": numbers})
    return kept.select(pl.when(pl.col("known").is_not_null()).then("numbers").otherwise(
        pl.lit("")
    )).to_series(), units[0]  # fmt: skip


def one_unit(texts: Sequence[str]) -> str:
    """The unit that stands beside a number in every one of some texts; '' where there is no such."""
    found = [re.match(_MEASURED, text) for text in texts]
    units = {(one[2] or "") + (one[4] or "") if one else "" for one in found}
    return units.pop() if len(units) == 1 else ""


def unit_note(units: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """A note of the columns that have a unit."""
    told = [f"'{name}' in {unit}" for unit, name in zip(units, names, strict=True) if unit]
    return (f"numbers are read without their units: {', '.join(told)}",) if told else ()
