"""Rows that are all those of a fit's data, some of which it was fitted to.

They are known by the checksum of all rows in their order: some of them alone, in another order, streamed
or drawn anew for each batch, they are not.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from taut.core import num_rows
from taut.data import Dataset, checksum_of
from taut.data.sparse_rows import SparseRows
from taut.evidence import Evidence
from taut.fitted.given_rows import as_datum

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["are_own", "noted"]


def are_own(fit: "Fit", rows: Dataset) -> bool:
    """Whether rows are all those of the data of a fit, with the target, without it or with another."""
    if not len(rows):
        return False
    facts = fit.facts
    if facts.untargeted_checksum:
        return checksum_of([rows], targeted=False) == facts.untargeted_checksum
    labelled = fit.schema.target is not None
    return bool(facts.checksum) and checksum_of([rows], labelled=labelled) == facts.checksum


def noted(found: Evidence, fit: "Fit", rows: Any) -> Evidence:
    """The evidence of rows, with a note where they are known to hold the training rows.

    Arguments:
        found: of the rows.
        fit: by which it was found.
        rows: as of `Fit.evaluate`.
    """
    given, counts = as_datum(rows, fit), fit.facts.rows
    total = counts.train + counts.validation + counts.test
    if num_rows(given) != total:
        return found
    cells = given.x if isinstance(given.x, SparseRows) else np.asarray(given.x)
    mask = None if given.mask is None else np.asarray(given.mask)
    numbers = np.arange(total) if given.index is None else np.asarray(given.index)
    if not are_own(fit, Dataset(cells, mask, None, numbers.astype(np.int32), fit.schema)):
        return found
    note = (
        f"{counts.train:,} of these {total:,} rows are training rows, whose log-evidence tends to be "
        "higher than that of new ones"
    )
    return replace(found, notes=(*found.notes, note))
