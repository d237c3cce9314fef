"""Datasets: slices are views, row numbers travel along, and a batch is a `Datum`."""

import numpy as np
import pytest

from taut.core import num_rows
from taut.data import Dataset, Schema

SCHEMA = Schema(name="d", kind="table", shape=(3,), support="real")


def make(x=None, **parts) -> Dataset:
    x = np.arange(12, dtype=np.float32).reshape(4, 3) if x is None else x
    parts = {
        "cells": x, "mask": None, "label": None, "index": np.arange(10, 14, dtype=np.int32), **parts
    }  # fmt: skip
    return Dataset(schema=SCHEMA, **parts)


def test_slice_is_a_view():
    data = make(mask=np.ones((4, 3), bool), label=np.arange(4, dtype=np.int32))
    part = data[1:3]
    assert len(part) == 2
    for field in ("x", "mask", "label", "index"):
        assert np.shares_memory(getattr(part, field), getattr(data, field))


def test_slice_of_a_memory_map_stays_on_disk(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(4, 3))
    part = make(x)[::2]
    assert isinstance(part.x, np.memmap)
    assert np.shares_memory(part.x, x)


@pytest.mark.parametrize("rows", [[3, 0], np.array([3, 0]), np.array([3, -4])])
def test_row_positions(rows):
    part = make()[rows]
    np.testing.assert_array_equal(part.x, [[9, 10, 11], [0, 1, 2]])
    np.testing.assert_array_equal(part.index, [13, 10])


def test_boolean_rows():
    np.testing.assert_array_equal(make()[np.array([True, False, False, True])].index, [10, 13])


def test_batch_is_a_datum():
    data = make(label=np.arange(4, dtype=np.int32))
    batch = data.datum()
    assert num_rows(batch) == 4
    assert batch.x is data.x
    assert batch.label is data.label
    assert batch.index is data.index
    assert batch.mask is None
    assert batch.weight is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"cells": np.zeros((4, 2), np.float32)},
            "dataset 'd', cells: expected shape (4, 3), got (4, 2)",
        ),
        ({"label": np.zeros(3, np.int32)}, "dataset 'd', label: expected shape (4,), got (3,)"),
        ({"mask": np.ones((4, 2), bool)}, "dataset 'd', mask: expected shape (4, 3), got (4, 2)"),
    ],
)
def test_parts_that_do_not_fit(refusal, parts, message):
    assert refusal(make, **parts).startswith(message)


@pytest.mark.parametrize("rows", [np.array([0.5, 1.0]), np.array([[0], [1]])])
def test_rows_that_are_no_positions(refusal, rows):
    assert "expected a slice, or a list of row positions" in refusal(make().__getitem__, rows)
