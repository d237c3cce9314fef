"""Whether synthetic rows are nearer to the rows that a model was fitted to than chance has it.

    d(s, x) = numbers in units of their range, squared, and 1 for each category that differs

Of N training rows and m held-out ones together, a synthetic row has a nearest. Where the model remembers
none of them, the held-out rows are any m of the N + m, and the number of synthetic rows that are nearest
to one of them has, over all ways to choose m rows,

    mean m c,    variance m s^2 N / (N + m)

with c and s^2 the mean and variance of how many synthetic rows each real row is nearest to. A model that
remembers training rows leaves fewer to the held-out ones. Copies, synthetic rows that equal a training
row in every cell, are counted beside the held-out rows that do, as rows of few categories may by chance:
rows of another program, which was given held-out rows too, favour neither but may copy both. With the
share p of copies among M synthetic and m held-out rows together, the difference of the two shares has

    variance p (1 - p) (1 / M + 1 / m).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["NearestRecords", "nearest_records"]

_ERRORS = 4.0  # standard errors that are no chance


class NearestRecords(NamedTuple):
    """What was found.

    Attributes:
        to_training: share of synthetic rows whose nearest real row is a training row.
        by_chance: what it is where nothing is remembered, N / (N + m).
        error: its standard error then.
        copies: share of synthetic rows that equal a training row.
        held_out_copies: share of held-out rows that do.
        copies_error: standard error of the difference of these two where they differ by chance alone.
    """

    to_training: float
    by_chance: float
    error: float
    copies: float
    held_out_copies: float
    copies_error: float

    @property
    def memorised(self) -> bool:
        """Whether training rows show in the synthetic ones by more than chance."""
        return self.to_training - self.by_chance > _ERRORS * self.error

    @property
    def copied(self) -> bool:
        """Whether synthetic rows equal training rows more often than held-out rows do, beyond chance."""
        return self.copies - self.held_out_copies > _ERRORS * self.copies_error


def nearest_records(
    synthetic: Float[np.ndarray, "M D"],
    train: Float[np.ndarray, "N D"],
    held_out: Float[np.ndarray, "H D"],
    category: Bool[np.ndarray, " D"],
    *,
    generator: np.random.Generator,
) -> NearestRecords:
    """Compare the distances.

    Arguments:
        synthetic: rows of the model.
        train: rows that it was fitted to; a missing cell, NaN, is in the middle of the range, or of no
            category.
        held_out: rows that it was not fitted to.
        category: which columns hold codes.
        generator: which of two rows at one distance is the nearest.
    """
    from sklearn.metrics import pairwise_distances_argmin

    real = np.concatenate([train, held_out])
    order = generator.permutation(len(real))
    places, ours = _vectors(real[order], synthetic, category)
    nearest = order[pairwise_distances_argmin(ours, places)]
    count = np.bincount(nearest, minlength=len(real))
    share = len(train) / len(real)
    spread = math.sqrt(len(held_out) * count.var(ddof=1) * share)
    known = {row.tobytes() for row in _plain(train)}
    copies, others = (
        sum(row.tobytes() in known for row in _plain(rows)) for rows in (synthetic, held_out)
    )
    made, kept = len(synthetic), len(held_out)
    both = (copies + others) / (made + kept)
    return NearestRecords(
        to_training=float(count[: len(train)].sum() / len(synthetic)),
        by_chance=share,
        error=spread / len(synthetic),
        copies=copies / made,
        held_out_copies=others / kept,
        copies_error=math.sqrt(both * (1 - both) * (1 / made + 1 / kept)),
    )


def _plain(rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return np.ascontiguousarray(rows, np.float64) + 0.0  # -0 is 0


def _vectors(
    real: Float[np.ndarray, "N D"],
    synthetic: Float[np.ndarray, "M D"],
    category: Bool[np.ndarray, " D"],
) -> list[Float[np.ndarray, "_ W"]]:
    """Points whose squared distances are d."""
    numbers = real[:, ~category]
    known = [column[~np.isnan(column)] for column in real.T]
    low, high = (
        np.array([end(values) if len(values) else 0.0 for values in known])[~category]
        for end in (np.min, np.max)
    )
    scale = np.where(high > low, high - low, 1.0)
    found = []
    for rows in (real, synthetic):
        numbers = (rows[:, ~category] - (low + high) / 2) / scale
        one_hot = [
            (rows[:, [i]] == np.unique(known[i])) / math.sqrt(2.0) for i in np.flatnonzero(category)
        ]
        found.append(np.concatenate([np.nan_to_num(numbers), *one_hot], axis=1))
    return found
