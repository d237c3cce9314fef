"""Many rows of bytes are made into blocks part by part, and are the rows that are held as numbers."""

import importlib
import tracemalloc
from typing import Any

import numpy as np
import pytest

import taut
from taut.core import Datum
from taut.data import load_data, slabs
from taut.evidence.exact_columns import exact_columns
from taut.evidence.independent_columns import smoothed_histogram
from taut.inference.exact import row_blocks
from taut.inference.exact.candidate import skeleton_of
from taut.inference.exact.row_blocks import RowBlocks


def test_what_is_known_of_bytes_is_what_is_known_of_their_numbers(monkeypatch):
    grey = np.random.default_rng(0).integers(0, 256, (120, 2, 3), dtype=np.uint8)
    rows: Any = load_data(grey, dtype=np.float64).train
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


@pytest.fixture
def small_slabs(monkeypatch):
    monkeypatch.setattr(slabs, "_CELLS", 2**10)


BYTES = np.random.default_rng(1).integers(0, 256, (4000, 16), dtype=np.uint8)


def traced(make):
    """What is made, and the most memory that it took."""
    tracemalloc.start()
    try:
        return make(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_columns_alone_are_judged_part_by_part_as_all_together(small_slabs):
    data: Any = load_data(BYTES, dtype=np.float64)
    model = skeleton_of(taut.GMM(components=2, covariance="diag"), data)
    train, x = data.test.x, data.train.x
    whole, taken = traced(lambda: exact_columns(model, train, Datum(x)))
    parts = [Datum(x[:1000]), Datum(x[1000:])]
    found = exact_columns(model, train, parts, index=np.arange(len(x)))
    np.testing.assert_array_equal(found.values, whole.values)
    assert taken < x.nbytes


def test_histograms_of_columns_take_no_number_for_every_cell(small_slabs):
    rows, test = BYTES[:500] / 255, BYTES / 255
    values, taken = traced(lambda: smoothed_histogram(rows, test, None, 256, grid=255))
    counts = (BYTES[:500, None, :] == np.arange(256)[None, :, None]).sum(axis=0) + 1.0
    cells = np.log(counts[BYTES, np.arange(16)] / (500 + 256))
    np.testing.assert_allclose(values, cells.sum(axis=1), rtol=1e-12)
    assert taken < test.nbytes


def test_one_block_is_worked_on_while_the_next_is_made(monkeypatch):
    em, told = importlib.import_module("taut.inference.exact.em"), []

    class Statistics:
        def __init__(self, number):
            self.number = number

        def block_until_ready(self):
            told.append(f"waited for {self.number}")
            return self

    def made(rows, model):
        for number in (1, 2, 3):
            told.append(f"made {number}")
            yield number

    data = load_data(BYTES[:100], dtype=np.float64)
    model = skeleton_of(taut.GMM(components=2, covariance="diag"), data)
    monkeypatch.setattr(RowBlocks, "in_parts", True)
    monkeypatch.setattr(RowBlocks, "blocks", made)
    monkeypatch.setattr(em, "_pass", lambda model, number, _: Statistics(number))
    monkeypatch.setattr(em, "_added", lambda before, own: own)
    em.expectation_step(model, RowBlocks(data.train))
    assert told == [
        "made 1", "made 2", "waited for 1", "made 3", "waited for 2",
    ]  # fmt: skip
