"""What the columns of weighted rows are is what those of the rows repeated are, not of each row once."""

import numpy as np
import pandas as pd
import pytest

from taut.core import InputError
from taut.sklearn.rows import rows_by_column

TAIL = np.exp(0.9 * np.random.default_rng(1).normal(size=60))
# Weights that hide a long tail, and those that make words come up again.
CASES = {
    "tail": (pd.DataFrame({"gain": TAIL}), np.where(TAIL > 3, 1, 20)),
    "atoms": (pd.DataFrame({"gain": TAIL}), np.where(np.arange(60) == 7, 60, 1)),
    "words": (pd.DataFrame({"word": [f"w{i}" for i in range(30)]}), np.full(30, 3)),
}


def kinds(frame, weight=None):
    return rows_by_column(frame, {}, weight).schema.kinds


@pytest.mark.parametrize(("frame", "weight"), CASES.values(), ids=CASES)
def test_a_weight_is_the_row_so_often(frame, weight):
    (found,) = kinds(frame, weight.astype(float))
    (wanted,) = kinds(frame.iloc[np.repeat(np.arange(len(frame)), weight)])
    assert (found.kind, found.reason, found.names) == (wanted.kind, wanted.reason, wanted.names)
    assert found.atoms == wanted.atoms
    np.testing.assert_allclose([found.shift, found.scale], [wanted.shift, wanted.scale], rtol=1e-12)
    try:
        (once,) = kinds(frame)
    except InputError:
        return  # words that do not come up again
    assert (once.kind, once.atoms) != (found.kind, found.atoms)
