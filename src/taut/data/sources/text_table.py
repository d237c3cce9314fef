"""Cells of text as a table, and the numbers that they are.

Columns of dates are seconds, columns of false and true zeros and ones, and columns without a number
codes of their texts. Text among the numbers of a column is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from taut.data.sources.dates import dates_of
from taut.data.sources.frame import text_codes
from taut.data.sources.raw_rows import Request
from taut.data.sources.whole_numbers import refuse_wide
from taut.data.sources.words import are_codes, spell_names, truth_words, without
from taut.data.sources.words import words as _words
from taut.errors import InputError, option

__all__ = ["TableValues", "TextTable", "table_values"]


class TextTable(NamedTuple):
    """Cells as text, row after row in one Polars series, so that a step costs the same for few columns
    as for thousands.

    Attributes:
        cells: of all rows.
        width: cells of a row.
        lines: the line that each row stands on.
    """

    cells: Any
    width: int
    lines: np.ndarray

    def column(self, number: int) -> Any:
        """The cells of one column."""
        return self.cells.gather_every(self.width, number)

    def columns(self, numbers: Sequence[int]) -> "TextTable":
        """Some of the columns."""
        if list(numbers) == list(range(self.width)):
            return self
        rows = np.arange(len(self.lines))[:, None] * self.width
        return TextTable(self.cells[(rows + np.asarray(numbers)).ravel()], len(numbers), self.lines)

    def emptied(self, codes: Mapping[int, Sequence[str]]) -> "TextTable":
        """The table with nothing in cells that are codes of their column."""
        alike: dict[tuple[str, ...], list[int]] = {}
        for number, own in codes.items():
            alike.setdefault(tuple(own), []).append(number)
        empty = np.zeros((len(self.lines), self.width), bool)
        for own, numbers in alike.items():
            coded = are_codes(self.columns(numbers).cells, own).to_numpy()
            empty[:, numbers] = coded.reshape(-1, len(numbers))
        return self._replace(cells=without(self.cells, empty.ravel())) if empty.any() else self

    def below(self) -> "TextTable":
        """All rows but the first."""
        return TextTable(self.cells[self.width :], self.width, self.lines[1:])


class TableValues(NamedTuple):
    """The numbers of a table.

    Attributes:
        values: (N, D), NaN for missing ones.
        whole: whether all of them are whole.
        names: of each column, the texts that its values count through, None for numbers; None where
            no column has some.
        forms: of columns of dates; empty for others.
        words: of columns of false and true; empty for others.
    """

    values: Shaped[np.ndarray, "N D"]
    whole: bool
    names: tuple[tuple[str, ...] | None, ...] | None
    forms: tuple[str, ...]
    words: list[tuple[str, ...]]


def table_values(
    table: TextTable, names: Sequence[str], source: str, request: Request
) -> TableValues:
    """The numbers of a table.

    Arguments:
        table: its cells.
        names: of its columns.
        source: the file, for messages.
        request: what it is asked for.

    Raises:
        InputError: the first cell of text in a column of numbers; whole numbers that float64 rounds; as
            of `dates_of`.
    """
    import polars as pl

    def grid(cells: Any) -> np.ndarray:
        return cells.to_numpy().reshape(-1, table.width)

    words = _words(table.cells)
    given, truths = grid(words.is_not_null()), words.str.to_lowercase()
    truth = grid(truths.is_in(["true", "false"]).fill_null(value=False))
    logical = np.all(truth | ~given, axis=0) & np.any(truth, axis=0)
    whole, real = (words.cast(kind, strict=False) for kind in (pl.Int64, pl.Float64))
    text = given & grid(real.is_null()) & ~logical
    for i, name in enumerate(names):
        if name in request.coded and spell_names(table.column(i), request.coded[name]):
            text[:, i] = given[:, i]
    wordy = text.any(axis=0) & ~(given & ~text).any(axis=0)
    _refuse_text(table, names, text & ~wordy, source)
    far = grid((real.abs() > 2**53).fill_null(value=False)).any(axis=0) & ~wordy
    _refuse_rounded(table, names, np.flatnonzero(far).tolist(), source)
    counts = (grid(whole.is_not_null()) | logical) & ~wordy
    counted = bool((counts | ~given).all())
    kept, empty = (whole, 0) if counted and given.all() else (real, float("nan"))
    values = grid(kept.fill_null(empty)).copy()
    yes = grid((truths == "true").fill_null(value=False))[:, logical]
    values[:, logical] = np.where(given[:, logical], yes, empty)
    texts: list[tuple[str, ...] | None] = [None] * table.width
    forms = [""] * table.width
    for i in np.flatnonzero(wordy).tolist():
        dates = _dates(table, i, names[i], source, request)
        if dates is None:
            values[:, i], texts[i] = text_codes(table.column(i).to_list())
        else:
            values[:, i], forms[i] = dates
    spelled = [truth_words(table.column(i)) if own else () for i, own in enumerate(logical)]
    return TableValues(values, counted, tuple(texts) if any(texts) else None, tuple(forms), spelled)


def _refuse_text(
    table: TextTable, names: Sequence[str], text: Bool[np.ndarray, "N D"], source: str
) -> None:
    """Refuse cells of text in columns that have numbers, with the place of the first."""
    if not text.any():
        return
    row, column = divmod(int(text.argmax()), table.width)
    raise InputError(
        "a number",
        f"'{table.cells[row * table.width + column]}'",
        f"mending the cell, or {option('drop', (names[column],))}",
        where=f"{source}, line {table.lines[row]}, column '{names[column]}'",
    )


def _refuse_rounded(
    table: TextTable, names: Sequence[str], columns: Sequence[int], source: str
) -> None:
    """Refuse columns of whole numbers, some of them beyond 2^53, which float64 rounds."""
    for i in columns:
        cells = _words(table.column(i)).drop_nulls()
        if cells.str.contains(r"^[+-]?\d+$").all():
            where = f"{source}, column '{names[i]}'"
            refuse_wide([int(cell) for cell in cells], where, name=names[i])


def _dates(
    table: TextTable, number: int, name: str, source: str, request: Request
) -> tuple[Float[np.ndarray, " N"], str] | None:
    """Seconds and the form of a column of dates; None of other texts, or where it is one of names."""
    if name in request.worded:
        return None

    def place(row: int) -> str:
        return f"{source}, line {table.lines[row]}, column '{name}'"

    form = request.forms.get(name, "")
    return dates_of(_words(table.column(number)), place, form=form)
