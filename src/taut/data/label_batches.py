"""Batches where few rows have a label: a quarter of each has one.

Of N rows n have a label. A batch of B rows holds b of these and B - b others, and a row has the weight

    n B / (N b) with a label,        (N - n) B / (N (B - b)) without,

so that the weighted mean over a batch is unbiased for the mean over all rows, as that of B rows at
random is; of these most batches would hold no label. Either kind goes round in epochs of its own.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32, Shaped

from taut.data.batches import batch_indices
from taut.data.targets import has_label

__all__ = ["LabelStrata", "label_strata"]

_SHARE = 4  # a batch holds one labelled row in so many, where labels are rarer


class LabelStrata(NamedTuple):
    """The rows with a label, the others, and how a batch is made of both.

    Attributes:
        known, unknown: places of the rows with and without a label.
        batch_size: B.
        labelled: b.
    """

    known: Int[np.ndarray, " n"]
    unknown: Int[np.ndarray, " m"]
    batch_size: int
    labelled: int

    @property
    def weights(self) -> Float[np.ndarray, " N"]:
        """Of every row."""
        total = len(self.known) + len(self.unknown)
        found = np.empty(total)
        found[self.known] = len(self.known) / self.labelled
        found[self.unknown] = len(self.unknown) / (self.batch_size - self.labelled)
        return found * self.batch_size / total

    def indices(
        self, seed: int, first_step: int, num_steps: int
    ) -> Int32[np.ndarray, "num_steps batch_size"]:
        """Places of the rows that steps see, those with a label first; as `batch_indices`."""
        parts = [
            rows[batch_indices(seed, first_step, num_steps, len(rows), count)]
            for rows, count in (
                (self.known, self.labelled), (self.unknown, self.batch_size - self.labelled)
            )
        ]  # fmt: skip
        return np.concatenate(parts, axis=1).astype(np.int32)


def label_strata(label: Shaped[np.ndarray, " N"] | None, batch_size: int) -> LabelStrata | None:
    """How batches are made; None where they need no more labels than rows at random have.

    Arguments:
        label: -1 or NaN for none.
        batch_size: B, from 1 to N.
    """
    if label is None:
        return None
    known = has_label(label)
    places = np.flatnonzero(known)
    count = min(batch_size // _SHARE, len(places))
    if count * len(label) <= batch_size * len(places):
        return None
    return LabelStrata(places, np.flatnonzero(~known), batch_size, count)
