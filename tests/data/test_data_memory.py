"""How much memory reading a file takes: the file once, and its rows once, bytes as bytes."""

import tracemalloc

import numpy as np
import pytest

from taut.data import load_data, missing_codes, slabs
from taut.data.slabs import slabs as slabs_of

_ROWS = 4000


@pytest.mark.parametrize(
    ("form", "shape", "dtype", "copies"),
    [
        ("float32", (256,), "float32", 2),
        ("float64", (128,), "float32", 1.5),
        ("float32", (256,), "float64", 3),
        ("float32", (16, 16), "float32", 2),
        ("uint8", (32, 32), "float32", 2),
        ("uint8", (32, 32), "float64", 2),
        ("uint8", (256,), "float32", 2),
    ],
)
def test_a_file_is_held_once_and_its_rows_once(form, shape, dtype, copies, tmp_path, monkeypatch):
    monkeypatch.setattr(slabs, "_CELLS", 2**13)
    monkeypatch.setattr(missing_codes, "_CELLS", 2**13)
    path = tmp_path / "rows.npy"
    values = np.random.default_rng(0).normal(size=(_ROWS, *shape)) * 50
    np.save(path, values.astype(form))
    load_data(path, stream="no", dtype=dtype)  # what is imported on the way is no part of the rows
    tracemalloc.start()
    try:
        load_data(path, stream="no", dtype=dtype)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The flags of missing cells are gone before the rows are copied; a tenth is for numbers of rows.
    assert peak < (copies + 0.15) * path.stat().st_size


@pytest.mark.parametrize("how", ["none", "static", "dynamic", "threshold"])
def test_bytes_are_held_as_bytes_and_are_the_numbers_that_real_grey_values_are(how, monkeypatch):
    monkeypatch.setattr(slabs, "_CELLS", 130)
    grey = np.random.default_rng(0).integers(0, 256, (40, 4, 5))
    bytes_, real = (
        load_data(grey.astype(form), binarize=how, seed=3) for form in ("uint8", "float64")
    )
    assert bytes_.checksum == real.checksum
    for held, made in zip(bytes_.parts().values(), real.parts().values(), strict=True):
        assert held.cells.itemsize == 1
        assert held.x.dtype == np.float32
        np.testing.assert_array_equal(held.x, made.x)
        np.testing.assert_array_equal(np.concatenate([p.x for p in held.parts()]), made.x)
        assert np.shares_memory(held[:2].cells, held.cells)


def test_rows_in_slabs_are_all_rows_once(monkeypatch):
    monkeypatch.setattr(slabs, "_CELLS", 7)
    for shape in ((1, 3), (10, 3), (9, 2, 2), (5, 50), (14, 1)):
        x = np.arange(np.prod(shape)).reshape(shape)
        pieces = [x[s] for s in slabs_of(x.shape)]
        np.testing.assert_array_equal(np.concatenate(pieces), x)
        assert all(len(piece) == 1 or piece.size <= 7 for piece in pieces)


def test_the_arrays_of_a_caller_are_not_those_of_the_data():
    parts = tuple(
        np.random.default_rng(i).normal(size=(20, 2)).astype(np.float32) for i in range(3)
    )
    before = parts[0].copy()
    data = load_data(parts)
    for part in parts:
        part[:] = 0
    np.testing.assert_array_equal(np.asarray(data.train.take(np.arange(20)).x), before)
