"""Rows that are all those of a fit's data, some of which it was fitted to.

They are known by the checksum of all rows in their order: some of them alone, in another order, streamed
or drawn anew for each batch, they are not.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from taut.core import Estimate, num_rows
from taut.data import Dataset, checksum_of
from taut.data.sparse_rows import SparseRows
from taut.evidence import Bracket, Evidence
from taut.fitted.given_rows import as_datum

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = [
    "TRAINED_ON", "are_own", "flagged", "noted", "trained_words", "training_notes",
]  # fmt: skip

TRAINED_ON = "training rows among them"
"""Flag of a number over rows to some of which the model was fitted."""

_Found = TypeVar("_Found", Evidence, Bracket)


def are_own(fit: "Fit", rows: Dataset) -> bool:
    """Whether rows are all those of the data of a fit, with the target, without it or with another."""
    if not len(rows):
        return False
    facts = fit.facts
    if facts.untargeted_checksum:
        return checksum_of([rows], targeted=False) == facts.untargeted_checksum
    labelled = fit.schema.target is not None
    return bool(facts.checksum) and checksum_of([rows], labelled=labelled) == facts.checksum


def noted(found: _Found, fit: "Fit", rows: Any) -> _Found:
    """What was found of rows, with a note and a flag where they are known to hold the training rows.

    Arguments:
        found: by one method, or by several.
        fit: by which it was found.
        rows: as of `Fit.evaluate`.
    """
    notes = training_notes(fit, rows)
    return found.noted(*notes, flag=TRAINED_ON) if notes else found


def flagged(found: Estimate, fit: "Fit", rows: Any) -> Estimate:
    """The same of one number, which has no notes; arguments as of `noted`."""
    return found.flagged(TRAINED_ON) if training_notes(fit, rows) else found


def training_notes(fit: "Fit", rows: Any) -> tuple[str, ...]:
    """A note where rows are known to hold the training rows; arguments as of `noted`."""
    given, counts = as_datum(rows, fit), fit.facts.rows
    total = counts.train + counts.validation + counts.test
    if num_rows(given) != total:
        return ()
    cells = given.x if isinstance(given.x, SparseRows) else np.asarray(given.x)
    mask = None if given.mask is None else np.asarray(given.mask)
    numbers = np.arange(total) if given.index is None else np.asarray(given.index)
    if not are_own(fit, Dataset(cells, mask, None, numbers.astype(np.int32), fit.schema)):
        return ()
    return (trained_words(counts.train, total),)


def trained_words(count: int, total: int) -> str:
    """What it means that so many of all rows are training rows."""
    return (
        f"{count:,} of these {total:,} rows are training rows, whose log-evidence tends to be higher "
        "than that of new ones"
    )
