"""Decimal commas, and marks between thousands, in cells of text.

A cell shows its dialect, or may belong to either:

    1,5   0,25   1.234,5   1.234.567      a decimal comma
    1.5   0.25   1,234.5   1,234,567      a decimal point
    1.234   1,234                         1000 times apart in the two

One cell that shows it decides for the whole file, or for its column where the file has both. Where none
does, a point is a decimal point as
everywhere, except beside a semicolon, which as a rule separates because the comma is taken.
"""

from collections.abc import Callable, Sequence
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
    cells: Any,
    names: Sequence[str],
    lines: np.ndarray | None,
    *,
    separator: str,
    wish: str,
    source: str,
) -> tuple[Any, tuple[str, ...]]:
    """Cells whose numbers have a decimal point and nothing between thousands, and a note of that.

    Arguments:
        cells: of text, row after row, as one Polars series.
        names: of the columns.
        lines: the line that each row stands on; None where rows are counted from 0.
        separator: between cells of the file.
        wish: the decimal mark, or `auto` for what the cells show.
        source: for messages.

    Raises:
        InputError: numbers that are 1000 times apart in the two dialects, and nothing that decides.
    """
    height = len(cells) // len(names)
    if wish == "auto" and separator != ";" and not cells.str.contains(",", literal=True).any():
        return cells, ()

    def first(found: Any) -> tuple[int, str]:
        """The first cell of the first column that has one, and where it stands."""
        column, row = divmod(int(found.to_numpy().reshape(-1, len(names)).T.argmax()), height)
        place = f"row {row}" if lines is None else f"line {lines[row]}"
        return row * len(names) + column, f"{source}, {place}, column '{names[column]}'"

    if wish == "auto" and len(names) > 1 and all(_shows(cells, mark) for mark in _DECIMAL):
        return _by_column(cells, names, lines, separator=separator, source=source)
    mark = wish if wish in _DECIMAL else _shown(cells, separator, first)
    grouped = _OTHER[mark]
    fits = cells.str.contains(_GROUPED[mark]) | cells.str.contains(_DECIMAL[mark])
    if wish == mark and (other := ~fits & cells.str.contains(_DECIMAL[grouped])).any():
        place, where = first(other)
        raise InputError(
            f"numbers whose decimal mark is '{mark}'", f"'{cells[place]}'",
            option("decimal", grouped), where=where,
        )  # fmt: skip
    plain = cells.str.replace_all(grouped, "", literal=True)
    plain = plain.str.replace_all(",", ".", literal=True)
    changed = cells.zip_with(~fits, plain)
    differs = changed != cells
    if not differs.any():
        return changed, ()
    place, _ = first(differs)
    return changed, (f"'{cells[place]}' and the like are read as {changed[place]}",)


def _by_column(
    cells: Any, names: Sequence[str], lines: np.ndarray | None, *, separator: str, source: str
) -> tuple[Any, tuple[str, ...]]:
    """Each column by what its own cells show."""
    grid, notes = cells.to_numpy().reshape(-1, len(names)).copy(), ()
    for i, name in enumerate(names):
        own, told = with_decimal_points(
            cells.gather_every(len(names), i), [name], lines,
            separator=separator, wish="auto", source=source,
        )  # fmt: skip
        grid[:, i], notes = own.to_numpy(), notes + told
    return type(cells)(cells.name, grid.ravel(), dtype=cells.dtype), notes


def _shown(cells: Any, separator: str, first: Callable[[Any], tuple[int, str]]) -> str:
    """The decimal mark that the cells show; a point where they contradict each other."""
    shown = {mark: _shows(cells, mark) for mark in _DECIMAL}
    if shown[","] != shown["."]:
        return "," if shown[","] else "."
    if shown[","]:
        return "."  # cells of the other kind are refused as text, one by one
    unclear = cells.str.contains(_GROUPED["."])
    if separator == ";":
        unclear |= cells.str.contains(_GROUPED[","])
    if unclear.any():
        place, where = first(unclear)
        raise InputError(
            "a number that shows what its comma or point means",
            f"'{cells[place]}', which may be a fraction or thousands",
            f"{option('decimal', '.')} or {option('decimal', ',')}", where=where,
        )  # fmt: skip
    return "."


def _shows(cells: Any, mark: str) -> bool:
    """Whether some cell can only be read with this decimal mark."""
    decimal = cells.str.contains(_DECIMAL[mark]) & ~cells.str.contains(_GROUPED[_OTHER[mark]])
    return bool((decimal | cells.str.contains(_TWICE[mark])).any())
