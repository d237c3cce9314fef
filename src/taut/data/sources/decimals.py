"""Decimal commas, and marks between thousands, in cells of text.

A cell shows its dialect, or may belong to either:

    1,5   0,25   1.234,5   1.234.567      a decimal comma
    1.5   0.25   1,234.5   1,234,567      a decimal point
    1.234   1,234                         1000 times apart in the two

One cell that shows it decides for the whole file. Where none does, a point is a decimal point as
everywhere, except beside a semicolon, which as a rule separates because the comma is taken.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from taut.errors import InputError, option

__all__ = ["with_decimal_points"]

_TAIL = r"([eE][+-]?\d+)?$"
_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+" + _TAIL
_POINT = r"^[+-]?((\d{1,3}(,\d{3})+|\d+)\.\d*|\.\d+)" + _TAIL
# Groups of three digits: one such group may also be a fraction, two may not.
_GROUPED = {",": r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$", ".": r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"}
_TWICE = {",": r"^[+-]?[1-9]\d{0,2}(\.\d{3}){2,}$", ".": r"^[+-]?[1-9]\d{0,2}(,\d{3}){2,}$"}
_DECIMAL = {",": _COMMA, ".": _POINT}
_OTHER = {",": ".", ".": ","}


def with_decimal_points(
    columns: Mapping[str, Any], lines: np.ndarray, *, separator: str, wish: str, source: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Columns whose numbers have a decimal point and nothing between thousands, and a note of that.

    Arguments:
        columns: of text, as Polars series, by name.
        lines: the line that each row stands on.
        separator: between cells of the file.
        wish: the decimal mark, or `auto` for what the cells show.
        source: for messages.

    Raises:
        InputError: numbers that are 1000 times apart in the two dialects, and nothing that decides.
    """
    if wish == "auto" and separator != ";" and not any(_some(c, ",") for c in columns.values()):
        return dict(columns), ()
    mark = wish if wish in _DECIMAL else _shown(columns, lines, separator, source)
    changed, example = {}, ("", "")
    for name, column in columns.items():
        cells, grouped = column, _OTHER[mark]
        fits = cells.str.contains(_GROUPED[mark]) | cells.str.contains(_DECIMAL[mark])
        if wish == mark:
            _refuse_other(
                name, cells, ~fits & cells.str.contains(_DECIMAL[grouped]), lines, mark, source
            )
        plain = cells.str.replace_all(grouped, "", literal=True)
        plain = plain.str.replace_all(",", ".", literal=True)
        changed[name] = cells.zip_with(~fits, plain)
        differs = (changed[name] != cells).to_numpy()
        if differs.any() and not example[0]:
            row = int(differs.argmax())
            example = (cells[row], changed[name][row])
    note = f"'{example[0]}' and the like are read as {example[1]}"
    return changed, ((note,) if example[0] else ())


def _refuse_other(
    name: str, cells: Any, found: Any, lines: np.ndarray, mark: str, source: str
) -> None:
    """Refuse the first number of the dialect that was not asked for."""
    if found.any():
        row = int(found.to_numpy().argmax())
        raise InputError(
            f"numbers whose decimal mark is '{mark}'", f"'{cells[row]}'",
            option("decimal", _OTHER[mark]), where=f"{source}, line {lines[row]}, column '{name}'",
        )  # fmt: skip


def _shown(columns: Mapping[str, Any], lines: np.ndarray, separator: str, source: str) -> str:
    """The decimal mark that the cells show; a point where they contradict each other."""
    shown = {mark: any(_shows(c, mark) for c in columns.values()) for mark in _DECIMAL}
    if shown[","] != shown["."]:
        return "," if shown[","] else "."
    if shown[","]:
        return "."  # cells of the other kind are refused as text, one by one
    for name, column in columns.items():
        unclear = column.str.contains(_GROUPED["."])
        if separator == ";":
            unclear |= column.str.contains(_GROUPED[","])
        if unclear.any():
            row = int(unclear.to_numpy().argmax())
            raise InputError(
                "a number that shows what its comma or point means",
                f"'{column[row]}', which may be a fraction or thousands",
                f"{option('decimal', '.')} or {option('decimal', ',')}",
                where=f"{source}, line {lines[row]}, column '{name}'",
            )
    return "."


def _shows(column: Any, mark: str) -> bool:
    """Whether some cell can only be read with this decimal mark."""
    decimal = column.str.contains(_DECIMAL[mark]) & ~column.str.contains(_GROUPED[_OTHER[mark]])
    return bool((decimal | column.str.contains(_TWICE[mark])).any())


def _some(column: Any, mark: str) -> bool:
    return bool(column.str.contains(mark, literal=True).any())
