"""Many rows of bytes are made into blocks part by part, and are the rows that are held as numbers."""

import numpy as np

from taut.data import load_data
from taut.inference.exact import row_blocks
from taut.inference.exact.row_blocks import RowBlocks


def test_what_is_known_of_bytes_is_what_is_known_of_their_numbers(monkeypatch):
    grey = np.random.default_rng(0).integers(0, 256, (120, 2, 3), dtype=np.uint8)
    rows = load_data(grey, dtype=np.float64).train
    held = RowBlocks(rows)
    monkeypatch.setattr(row_blocks, "_MANY_CELLS", 0)
    monkeypatch.setattr(row_blocks, "_BLOCK_CELLS", 100)
    made = RowBlocks(rows)
    assert made.in_parts
    assert not held.in_parts
    np.testing.assert_array_equal(made.read(3, 50), held.read(3, 50))
    np.testing.assert_array_equal(made.sample(), held.sample())
    for found, expected in zip(made.spread(), RowBlocks(rows.x).spread(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
