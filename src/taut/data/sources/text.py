"""`FILE.csv`, `.tsv`, `.txt`, `.data`, `.amat`, each also `.gz`: tables of numbers as text.

Lines of `#` above the table are left out; the last of them names the columns where it has as many cells
as the table and the table does not name them itself. The separator is the first of semicolon, tab, comma
and bar that occurs in the first line, else runs of blanks. The first line names the columns when no cell
of it is a number, or when it counts four or more of them (0, 1, 2, 3, ... or 1, 2, 3, 4, ...); otherwise
they are named column_1, column_2, ... A first column without a name that names or numbers the rows is
left out. Blank lines are skipped. For decimal commas see `taut.data.sources.decimals`, for units beside
numbers `.units`, for dates `.dates`.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from taut.data.sources.decimals import with_decimal_points
from taut.data.sources.files import file_bytes
from taut.data.sources.frame import choose_columns, label_of
from taut.data.sources.needs_polars import need_polars
from taut.data.sources.raw_rows import RawRows, Request, Unit
from taut.data.sources.text_table import TextTable, table_values
from taut.data.sources.units import unit_note, without_units
from taut.data.sources.whole_numbers import numbering, numbering_note
from taut.data.sources.words import spell_names, truth_words
from taut.data.sources.words import words as _words
from taut.errors import InputError, counted, option

__all__ = ["EXTENSIONS", "read_text"]

EXTENSIONS = (".csv", ".tsv", ".txt", ".data", ".amat")
_BLANKS = " "
_FAR = re.compile(r"^[+-]?\d{16,}$")  # 2^53 has 16 digits


def read_text(source: str, request: Request) -> tuple[RawRows, ...]:
    """The numeric columns of a text table that the request leaves.

    Raises:
        InputError: no Polars; bytes that are no UTF-8; lines of different lengths; text where a number
            should be, with line and column; columns of text, by name; columns as in `choose_columns`.
    """
    text, notes = _below_comments(_decoded(source))
    need_polars(source)
    separator = _separator(text)
    read = _quoted_cells if '"' in text else _plain_cells
    table = read(text, separator, source)
    names = _header(table.cells[: table.width].to_list())
    counted = names is None
    if names is None:
        names = [f"column_{i + 1}" for i in range(table.width)]
        notes += (f"no line of names: columns are {names[0]} to {names[-1]}",)
    else:
        table = table.below()
        if not len(table.lines):
            raise InputError(
                "at least one row", "a line of column names alone", "another file", where=source
            )
        left = "column_1" not in (*request.drop, request.label)
        if names[0] == "" and left and len(names) > 1 and _names_rows(table.column(0)):
            names, table = names[1:], table.columns(range(1, table.width))
            notes += ("the first column, which has no name and tells the rows apart, is left out",)
        _name_all(names, table, request, source)
        if _is_number(names[0]):
            notes += ("the first line counts the columns: read as their names",)
    data, label = choose_columns(names, request, source, counted=counted)
    places = {name: number for number, name in enumerate(names)}
    wanted = [*data, *([] if label is None else [label])]
    table = table.columns([places[name] for name in wanted])
    table = table.emptied({i: c for i, n in enumerate(wanted) if (c := request.empty(n))})
    cells, units = without_units(table.cells, len(wanted))
    cells, told = with_decimal_points(
        cells, wanted, table.lines, separator=separator, wish=request.decimal, source=source
    )
    table = table._replace(cells=cells)
    told += unit_note(units, wanted)
    labels, label_words = None, ()
    if label is not None:
        most = request.coded.get(label, 0.0)
        labels = _label(table.column(len(data)), most, f"{source}, label '{label}'")
        label_words = truth_words(table.column(len(data)))
        table = table.columns(range(len(data)))
    left = numbering({name: _far(table, i) for i, name in enumerate(data)}, request)
    stay = [i for i, name in enumerate(data) if name not in left]
    data, units, table = [data[i] for i in stay], [units[i] for i in stay], table.columns(stay)
    found = table_values(table, data, source, request)
    rows = RawRows(
        values=found.values, where=source, columns=tuple(data), labels=labels,
        label_name=label, label_words=label_words, lines=table.lines, whole=found.whole,
        notes=notes + told + numbering_note(left), names=found.names,
        units=tuple(map(Unit, units, found.forms, found.words)),
    )  # fmt: skip
    return (rows,)


def _far(table: TextTable, number: int) -> list[int]:
    """The cells of a column of whole numbers alone that have as many digits as 2^53; else none."""
    if not _FAR.match(table.cells[number] or ""):
        return []
    cells = table.column(number).fill_null("")
    return [int(cell) for cell in cells] if cells.str.contains(_FAR.pattern).all() else []


def _decoded(source: str) -> str:
    content = file_bytes(source)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            "text in UTF-8",
            f"the byte 0x{content[error.start]:02x}",
            "saving the file as UTF-8, or the ending that belongs to its format",
            where=f"{source}, line {line}",
        ) from error
    if not text.strip():
        raise InputError("a table", "blank lines alone", "writing it again", where=source)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _below_comments(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with blank lines for those of `#` above its table, and a note of how many they were."""
    lines = text.split("\n")
    above = []
    for first, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            above.append(first)
        elif line.strip():
            break
    else:
        return text, ()
    if not above:
        return text, ()
    last = lines[above[-1]].lstrip().lstrip("#").strip()
    for number in above:
        lines[number] = ""
    names, cells = (_cells_of(line, _separator(lines[first])) for line in (last, lines[first]))
    named = len(names) == len(cells) > 1 and _header(names) and not _header(cells)
    if named:
        lines[above[-1]] = last
    left = len(above) - bool(named)
    note = (f"{left} line{'s' * (left > 1)} of # above the table left out",) if left else ()
    return "\n".join(lines), note


def _cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    found = line.split() if separator == _BLANKS else line.split(separator)
    return [cell.strip().strip('"') for cell in found]


def _separator(text: str) -> str:
    """From the first line; semicolon and tab go before a comma, which may be a decimal comma there."""
    line = next(line for line in text.split("\n") if line.strip())
    return next((mark for mark in ";\t,|" if mark in line), _BLANKS)


def _plain_cells(text: str, separator: str, source: str) -> TextTable:
    """Cells of a text without quotation marks, split by Polars."""
    import polars as pl

    lines = pl.Series(text.split("\n"))
    numbers = np.flatnonzero((lines.str.strip_chars() != "").to_numpy()) + 1
    lines = lines[numbers - 1]
    if separator == _BLANKS:
        lines = lines.str.strip_chars().str.replace_all(r"\s+", _BLANKS)
    widths = lines.str.count_matches(separator, literal=True).to_numpy() + 1
    trailing = lines[1:].str.strip_chars(" ").str.ends_with(separator).all()
    if not trailing and _lacks_first(widths, lines[0].split(separator)):
        lines[0], widths[0] = separator + lines[0], widths[0] + 1
    _refuse_ragged(widths, numbers, source)
    cells = lines.str.split(separator).explode().str.strip_chars()
    return TextTable(cells, int(widths[0]), numbers)


def _quoted_cells(text: str, separator: str, source: str) -> TextTable:
    """Cells of a text with quotation marks, in which separators and line ends may be quoted."""
    import polars as pl

    if separator == _BLANKS:
        text = "\n".join(line.strip().replace("\t", _BLANKS) for line in text.split("\n"))
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    rows, numbers, start = [], [], 1
    try:
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                numbers.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            "cells whose quotation marks close",
            f"{error}",
            "mending the line",
            where=f"{source}, line {start}",
        ) from error
    widths = np.array([len(row) for row in rows])
    if any(row[-1] for row in rows[1:]) and _lacks_first(widths, rows[0]):
        rows[0], widths[0] = ["", *rows[0]], widths[0] + 1
    _refuse_ragged(widths, np.array(numbers), source)
    cells = pl.Series([cell for row in rows for cell in row], dtype=pl.String)
    return TextTable(cells, int(widths[0]), np.array(numbers))


def _lacks_first(widths: np.ndarray, first: Sequence[str]) -> bool:
    """Whether a line of names has none for the first column alone, as R writes row names."""
    return bool(len(widths) > 1 and (widths[1:] == widths[0] + 1).all() and _header(first))


def _names_rows(column: Any) -> bool:
    """Whether cells tell rows apart: all different, and text or numbers that count the rows."""
    if column.n_unique() < len(column):
        return False
    numbers = _numbers(column)
    if numbers.null_count():
        return bool(numbers.null_count() == len(column) and _words(column).null_count() == 0)
    return bool((numbers.diff().drop_nulls() == 1).all())


def _refuse_ragged(widths: np.ndarray, lines: np.ndarray, source: str) -> None:
    ragged = np.flatnonzero(widths != widths[0])
    if len(ragged):
        raise InputError(
            f"{counted(int(widths[0]), 'column')}, as in line {lines[0]}",
            f"{widths[ragged[0]]}",
            "mending the line",
            where=f"{source}, line {lines[ragged[0]]}",
        )


def _header(first: Sequence[str]) -> list[str] | None:
    """The names in the first line, or None where it is a row of data."""
    counts = [[str(i + start) for i in range(len(first))] for start in (0, 1)]
    if len(first) > 3 and list(first) in counts:  # fewer may well be a row of small numbers
        return list(first)
    return None if any(_is_number(cell) for cell in first) else list(first)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _name_all(names: list[str], table: TextTable, request: Request, source: str) -> None:
    """Refuse a column without a name unless it is left out.

    It goes by `column_i` from here on, so that it can be dropped.
    """
    for i, name in enumerate(names):
        if name:
            continue
        names[i] = f"column_{i + 1}"
        wanted = request.keep is None or names[i] in request.keep
        if wanted and names[i] not in (*request.drop, request.label):
            raise InputError(
                "a name for every column",
                f"none for column {i + 1}",
                f"naming it, or {option('drop', (names[i],))} if it numbers the rows",
                where=f"{source}, line {table.lines[0] - 1}",
            )


def _numbers(column: Any) -> Any:
    """The cells as whole numbers, else as real ones; null where missing or not a number."""
    import polars as pl

    words = _words(column)
    truths = words.str.to_lowercase()
    if truths.is_in(["true", "false"]).all() and truths.is_not_null().any():
        return (truths == "true").cast(pl.Int64)
    whole = words.cast(pl.Int64, strict=False)
    if whole.null_count() == words.null_count():
        return whole
    return words.cast(pl.Float64, strict=False)


def _label(column: Any, most: float, where: str) -> np.ndarray:
    """Labels as numbers, or as text where a cell is none or they are names of so many at most."""
    import narwhals as nw

    numbers, words = _numbers(column), _words(column)
    text = bool((numbers.is_null() & words.is_not_null()).any()) or spell_names(words, most)
    return label_of(nw.from_native(words if text else numbers, series_only=True), where)
