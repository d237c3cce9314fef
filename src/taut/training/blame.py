"""Which row and which term made a step fail."""

import jax
import numpy as np

from taut.core import Datum
from taut.inference import Inspection

__all__ = ["blame"]


def blame(inspection: Inspection, batch: Datum) -> str:
    """The first row of a batch with a number that is not finite, in words.

    Arguments:
        inspection: what the step computed from each row.
        batch: its rows.

    Returns:
        the row's number in its source and the term of the bound, or the row whose gradient it is; an
        empty text where each row alone is finite.
    """
    numbers = range(len(inspection.gradient_norm)) if batch.index is None else batch.index
    numbers = np.asarray(numbers)
    terms = {name: np.asarray(value) for name, value in inspection.terms.items()}
    for i, number in enumerate(numbers):
        for name, value in terms.items():
            bad = value[i][~np.isfinite(value[i])]
            if bad.size:
                return f"row {number}: {name} is {bad.flat[0]}"
    norms = np.asarray(jax.device_get(inspection.gradient_norm))
    bad = np.flatnonzero(~np.isfinite(norms))
    if bad.size:
        return f"row {numbers[bad[0]]}: the bound is finite, its gradient is {norms[bad[0]]}"
    return ""
