"""Training rows of a dynamic binarization as zeros and ones, which is what the model is a density of.

    b ~ Bernoulli(x), once for each row

Training draws them anew for each batch and so keeps them grey. To be measured they are drawn once, as
validation and test rows are on loading: by the row's number, to what `static` makes of them.
"""

from dataclasses import replace

import numpy as np

from taut.data import Dataset
from taut.data.binarize import binarized

__all__ = ["binarized_once"]

_BLOCK = 1024  # row numbers whose draws are made together


def binarized_once(rows: Dataset, *, seed: int) -> Dataset:
    """Rows with a draw for each grey value; as they are where they have none, or are not drawn anew.

    Arguments:
        rows: of a part of the data that is a whole file, or the first of several.
        seed: of the draws, the `split_seed` that the data were loaded with.
    """
    if rows.schema.binarize != "dynamic" or rows.cells.dtype == bool:
        return rows
    x = rows.x
    if ((x == 0) | (x == 1) | np.isnan(x)).all():
        return rows
    drawn, blocks = np.empty_like(x), rows.index // _BLOCK
    for block in np.unique(blocks):
        at, first = np.flatnonzero(blocks == block), int(block) * _BLOCK
        grey = np.zeros((_BLOCK, *x.shape[1:]), x.dtype)
        places = rows.index[at] - first
        grey[places] = x[at]
        drawn[at] = binarized(grey, "dynamic", seed=seed, first_row=first)[places]
    return replace(rows, cells=drawn)
