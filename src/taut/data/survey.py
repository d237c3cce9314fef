"""The one pass over rows on disk before anything is decided: what is missing, what the values are.

Held are a few MiB of rows and the numbers of those with missing cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from taut.data.identifiers import Numbering
from taut.data.missing import Missing, Tally, marked
from taut.data.missing_codes import Outermost, merged, outermost
from taut.data.moments import ColumnMoments
from taut.data.sources import RawRows, RowFile
from taut.data.support import Facts, facts_of, merged_facts, refuse_unheld

__all__ = ["Survey", "each_part", "survey"]

_PART_CELLS = 2**20  # of a file that are worked on at a time, 8 MiB in float64


class Survey(NamedTuple):
    """What is known of the rows of a file.

    Attributes:
        facts: of all rows that are used.
        moments: of those of them that are trained on.
        bad: sorted numbers of the rows that are left out for their missing cells.
        holes: missing cells of the rows that are used.
        notes: what a reader should know of those.
        ends: the outermost values of a table's columns to both sides, in rows that are used.
        numbering: which columns of a table number those rows.
        whole: which columns of a table hold whole numbers alone in them, (D,).
    """

    facts: Facts
    moments: ColumnMoments
    bad: Int64[np.ndarray, " n"]
    holes: int
    notes: tuple[str, ...]
    ends: tuple[Outermost, ...]
    numbering: Numbering
    whole: Bool[np.ndarray, " D"]


def survey(
    file: RowFile,
    held_out: Int64[np.ndarray, " n"],
    missing: Missing,
    dtype: str,
    *,
    columns: tuple[str, ...] | None,
    codes: Sequence[float] = (),
) -> Survey:
    """Look at every row once.

    Arguments:
        file: the rows.
        held_out: sorted numbers of the rows that are not trained on.
        missing: what to do about missing cells.
        dtype: the type that values will be held in.
        columns: names of a table's columns.
        codes: numbers that stand for a missing cell.

    Raises:
        InputError: missing cells that are to be refused, with their number and first places.
    """
    modelled = missing == "model"
    tally = Tally(file.where, missing, () if modelled else codes)
    moments = ColumnMoments(file.size if len(file.shape) == 1 else None, dtype)
    facts: list[Facts] = []
    ends: list[Outermost] = []
    numbering, whole = Numbering(), np.ones(file.size, bool)
    table = len(file.shape) == 1
    signs = (-1.0, 1.0) if table else ()
    for given in each_part(file, columns):
        rows = marked(given, codes) if modelled else given
        bad = tally.add(rows)
        used = rows.select(np.flatnonzero(~bad)) if bad.any() else rows
        values = used.values
        refuse_unheld(used)
        if not len(values):
            continue
        facts = [merged_facts([*facts, facts_of(values, whole=rows.whole)])]
        own = [outermost(values, sign) for sign in signs]
        ends = [merged(*pair) for pair in zip(ends, own, strict=True)] if ends else own
        if table:
            numbering.add(values)
            whole &= ((values == np.rint(values)) | np.isnan(values)).all(axis=0)
        moments.add(rows.values[~(bad | _among(rows, held_out))])
    notes = tally.settle()
    left_out = tally.bad.astype(np.int64)
    return Survey(facts[0], moments, left_out, tally.holes, notes, tuple(ends), numbering, whole)


def each_part(file: RowFile, columns: tuple[str, ...] | None = None):
    """The rows of a file in order, some at a time, as `RawRows` that know their numbers."""
    height = max(1, _PART_CELLS // file.size)
    for first in range(0, file.num_rows, height):
        last = min(first + height, file.num_rows)
        yield RawRows(
            values=file.read(first, last),
            where=file.where,
            columns=columns,
            index=np.arange(first, last),
            whole=file.whole,
        )


def _among(rows: RawRows, sorted_numbers: np.ndarray) -> np.ndarray:
    """True for rows whose numbers are among the given ones."""
    assert rows.index is not None
    first = int(rows.index[0])
    low, high = np.searchsorted(sorted_numbers, [first, first + len(rows)])
    found = np.zeros(len(rows), bool)
    found[sorted_numbers[low:high] - first] = True
    return found
