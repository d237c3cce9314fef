"""Rows that stay on disk: what is read, in which order, and that it is what memory would give."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from taut.data import Gatherer, StreamedRows, load_data
from taut.data import row_order as order_module
from taut.data import survey as survey_module
from taut.data.row_order import RowOrder
from taut.data.sources import Request, decode_parquet

ROWS = np.random.default_rng(0).normal(1e3, [1.0, 2.0, 0.5], size=(600, 3)).astype(np.float32)


@pytest.fixture
def small_windows(monkeypatch):
    """Blocks of five rows of three floats, four to a window."""
    monkeypatch.setattr(order_module, "_BLOCK_BYTES", 60)
    monkeypatch.setattr(order_module, "_MOST_BLOCKS", 4)


def streamed(path, **options):
    data = load_data(path, stream="yes", **options)
    assert isinstance(data.train, StreamedRows)
    return data, data.train


def positions(order, epoch, first, last):
    """The entries of an epoch's order, from the definition of pieces and windows."""
    found = []
    for piece in order.pieces(epoch, first, last):
        rows = np.concatenate([np.arange(a, b) for a, b in piece.window.ranges])
        found.append(rows[order.within(piece.window)][piece.first : piece.last])
    return np.concatenate(found)


@pytest.mark.parametrize("num_rows", [1, 4, 5, 60, 103, 121])
def test_every_row_once_an_epoch(num_rows):
    order = RowOrder(num_rows, block_rows=5, window_blocks=4, seed=3)
    for epoch in range(4):
        whole = positions(order, epoch, 0, num_rows)
        assert sorted(whole) == list(range(num_rows))
        inner = np.random.default_rng(epoch).integers(0, num_rows, 6).tolist()
        cuts = sorted({0, *inner, num_rows})
        parts = [positions(order, epoch, a, b) for a, b in pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_order_depends_on_seed_and_epoch_and_keeps_blocks_in_one_window():
    order = RowOrder(1000, block_rows=10, window_blocks=5, seed=3)
    orders = [positions(o, e, 0, 1000) for o in (order, order._replace(seed=4)) for e in (0, 1)]
    assert len({o.tobytes() for o in orders}) == 4
    for whole in orders:
        for window in whole.reshape(-1, 50):
            assert set(Counter(window // 10).values()) == {10}


def test_place_in_the_order_is_uniform_over_epochs():
    """Row 0 is equally likely anywhere: 400 epochs over ten bins, chi-square with 9 degrees."""
    order = RowOrder(60, block_rows=3, window_blocks=4, seed=0)
    where = [int(np.argmax(positions(order, e, 0, 60) == 0)) for e in range(400)]
    counts = np.bincount(np.asarray(where) // 6, minlength=10)
    assert np.sum((counts - 40.0) ** 2 / 40) < 9 + 5 * np.sqrt(18)


@pytest.mark.usefixtures("small_windows")
def test_steps_see_each_training_row_once_an_epoch_however_they_are_cut(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    data, train = streamed(tmp_path / "a.npy")
    per_epoch = len(train) // 16
    x, index = Gatherer(train, 16, seed=7).gather(0, 2 * per_epoch)
    np.testing.assert_array_equal(x, ROWS[index])
    for epoch in np.split(index, 2):
        assert len(set(epoch)) == len(epoch) == per_epoch * 16
    held = {*data.validation.index, *data.test.index}
    assert not held & set(index)
    assert held | set(train[:].index) == set(range(600))
    gatherer = Gatherer(train, 16, seed=7)
    for first, last in [(0, 1), (1, 20), (20, 45), (45, 2 * per_epoch), (3, 9)]:
        part, numbers = gatherer.gather(first, last - first)
        np.testing.assert_array_equal(numbers, index[first * 16 : last * 16])
        np.testing.assert_array_equal(part, x[first * 16 : last * 16])


def test_rows_are_read_by_position(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    _, train = streamed(tmp_path / "a.npy")
    kept = np.setdiff1d(np.arange(600), train.left_out)
    for rows in (slice(5, 9), np.array([3, 2, 479, 4, 5]), [0], slice(0, 0)):
        np.testing.assert_array_equal(train[rows].index, kept[rows])
        np.testing.assert_array_equal(train[rows].x, ROWS[kept[rows]])
    sample = train.sample(50, seed=1)
    assert len(set(sample.index)) == 50
    assert set(sample.index) <= set(kept)
    assert len(train.sample(10_000)) == len(train)
    assert sum(len(part) for part in train.parts()) == len(train)


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_shift_and_scale_are_those_of_the_training_rows(tmp_path, monkeypatch, shape):
    from taut.data import survey as survey_module

    monkeypatch.setattr(survey_module, "_PART_CELLS", 100)
    x = ROWS.copy()
    x[:, 1] = 7.25
    np.save(tmp_path / "a.npy", x.reshape(-1, *shape))
    data, train = streamed(tmp_path / "a.npy")
    rows = np.delete(x, train.left_out, axis=0).astype(np.float64)
    if len(shape) == 1:
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        mean[1], deviation[1] = 7.25, 1.0
        assert any(
            "constant over the training rows: column 1, counted from 0" in n for n in data.notes
        )
    else:
        mean, deviation = [rows.mean()], [rows.std()]
    np.testing.assert_allclose(data.schema.shift, mean, rtol=1e-12)
    np.testing.assert_allclose(data.schema.scale, deviation, rtol=1e-12)


def test_held_out_rows_are_counted_drawn_by_key_and_noted(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    data, train = streamed(tmp_path / "a.npy")
    assert (len(train), len(data.validation), len(data.test)) == (480, 60, 60)
    assert data.notes[0] == (
        "480 training rows are streamed from disk; 60 validation and 60 test rows, drawn one by one, "
        "are kept in memory"
    )
    same, _ = streamed(tmp_path / "a.npy")
    other, _ = streamed(tmp_path / "a.npy", seed=1)
    np.testing.assert_array_equal(same.test.index, data.test.index)
    assert set(other.test.index) != set(data.test.index)
    np.testing.assert_array_equal(data.test.x, ROWS[data.test.index])


_GREY = np.random.default_rng(1).integers(0, 256, size=(80, 4, 3))
KINDS = {
    "real": (ROWS.astype(np.float64), {}),
    "halves": ((ROWS / 1e3).astype(np.float16), {}),
    "other byte order": (ROWS.astype(">f8"), {"dtype": np.float64}),
    "counts": (np.random.default_rng(2).poisson(3.0, size=(90, 4)), {}),
    "binary": (np.random.default_rng(3).random((90, 4)) < 0.4, {}),
    "grey": (_GREY.astype(np.uint8), {}),
    "grey of 0, 1 and 255 rarely": (
        np.where(np.arange(80)[:, None, None] == 70, 255, _GREY % 2).astype(np.float32),
        {},
    ),
    "multiples of 1/255": ((_GREY / 255).astype(np.float32), {}),
    "unit": (_GREY / 777, {}),
    "flat images": (_GREY.reshape(80, 12).astype(np.uint8), {"image_shape": (4, 3)}),
    "static": (_GREY.astype(np.uint8), {"binarize": "static", "seed": 5}),
    "threshold": ((_GREY / 255).astype(np.float32), {"binarize": "threshold"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_schema_are_those_of_data_in_memory(tmp_path, monkeypatch, kind):
    from taut.data import survey as survey_module

    monkeypatch.setattr(survey_module, "_PART_CELLS", 50)
    array, options = KINDS[kind]
    np.save(tmp_path / "a.npy", array)
    data, train = streamed(tmp_path / "a.npy", **options)
    memory = load_data(tmp_path / "a.npy", stream="no", **options)
    assert not memory.streamed
    plain = {"shift": None, "scale": None}
    assert replace(data.schema, **plain) == replace(memory.schema, **plain)
    whole = np.empty((len(array), *memory.schema.shape), memory.schema.dtype)
    for part in (memory.train, memory.validation, memory.test):
        whole[part.index] = part.x
    for part in (train[:], train.sample(20), data.validation, data.test):
        np.testing.assert_array_equal(part.x, whole[part.index])
        assert part.x.dtype == whole.dtype


@pytest.mark.parametrize("height", [7, 1000])
def test_columns_that_number_the_rows_are_noted_as_those_in_memory(tmp_path, monkeypatch, height):
    monkeypatch.setattr(survey_module, "_PART_CELLS", height * 5)
    turned = np.r_[np.arange(300), 0, np.arange(301, 600)]  # falls once, at the end of no part of 7
    holed = np.r_[np.nan, np.arange(1, 600)]
    beside = np.c_[np.arange(600) * 3 + 10, ROWS[:, 0], turned, holed, np.arange(600) / 2]
    for name, rows in (("real", beside), ("whole", np.c_[np.arange(600), ROWS.astype(int)])):
        np.save(tmp_path / f"{name}.npy", rows)
        notes = [
            [
                note
                for note in load_data(tmp_path / f"{name}.npy", stream=how).notes
                if "rise" in note
            ]
            for how in ("yes", "no")
        ]
        assert notes[0] == notes[1]
        assert "identifiers do: column 0, counted" in notes[0][0]


def test_whole_columns_are_whole_in_all_rows(tmp_path):
    """One value of a training row is none: rows that are drawn would be written as whole numbers."""
    rows = np.c_[ROWS[:, 0], np.arange(600) % 7, np.arange(600) % 7].astype(float)
    np.save(tmp_path / "rows.npy", rows)
    data, train = streamed(tmp_path / "rows.npy")
    assert data.schema.whole == (1, 2)
    rows[train.numbers(np.array([100])), 2] = 2.5
    np.save(tmp_path / "rows.npy", rows)
    assert streamed(tmp_path / "rows.npy")[0].schema.whole == (1,)
    assert load_data(tmp_path / "rows.npy").schema.whole == (1,)


@pytest.mark.parametrize("rare", [2.5, -3.0, 0.1, np.nan, np.e], ids=str)
def test_the_grid_of_a_column_holds_the_training_rows_too(tmp_path, rare):
    """As in memory, where one training row has a value that no held-out row has."""
    rows = np.c_[ROWS[:, 0], np.arange(600) % 7, np.arange(600) % 5 + 0.5].astype(float)
    np.save(tmp_path / "rows.npy", rows)
    number = streamed(tmp_path / "rows.npy")[1].numbers(np.array([100]))
    rows[number, 1] = rare
    np.save(tmp_path / "rows.npy", rows)
    own, memory = (load_data(tmp_path / "rows.npy", stream=how).schema for how in ("yes", "no"))
    for field in ("steps", "origins", "spikes"):
        assert getattr(own, field) == pytest.approx(getattr(memory, field))


def test_all_parts_hold_the_schema_of_the_data(tmp_path):
    """Fields that equality leaves out, as of grids of columns, too."""
    rows = np.c_[ROWS[:, 0], np.arange(600) % 7, np.round(ROWS[:, 1])].astype(float)
    np.save(tmp_path / "rows.npy", rows)
    for how in ("yes", "no"):
        data = load_data(tmp_path / "rows.npy", stream=how)
        assert data.schema.steps is not None
        assert all(part.schema is data.schema for part in data.parts().values())


def test_rows_on_disk_have_no_labels(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    data, train = streamed(tmp_path / "rows.npy")
    assert train.label is data.test.label is None


def test_dynamic_binarization_leaves_training_rows_grey(tmp_path):
    np.save(tmp_path / "a.npy", _GREY.astype(np.uint8))
    data, train = streamed(tmp_path / "a.npy", binarize="dynamic")
    np.testing.assert_allclose(train[:].x, _GREY[train[:].index] / 255, rtol=1e-6)
    static, _ = streamed(tmp_path / "a.npy", binarize="static")
    np.testing.assert_array_equal(data.test.x, static.test.x)
    assert set(np.unique(data.test.x)) == {0.0, 1.0}


def test_parquet_and_npy_agree(tmp_path, monkeypatch):
    from taut.data.sources import parquet as parquet_module

    monkeypatch.setattr(parquet_module, "_SLICE_BYTES", 1000)
    np.save(tmp_path / "a.npy", ROWS)
    table = pl.DataFrame(ROWS, schema=["a", "b", "c"])
    labelled = table.with_columns(pl.Series("kind", ["x", "y"] * 300))
    labelled.write_parquet(tmp_path / "a.parquet", row_group_size=130)
    one, first = streamed(tmp_path / "a.npy")
    two, second = streamed(tmp_path / "a.parquet", label="kind")
    assert two.schema == replace(one.schema, columns=("a", "b", "c"))
    np.testing.assert_array_equal(one.test.x, two.test.x)
    for a, b in zip(*(Gatherer(t, 32, 0).gather(0, 30) for t in (first, second)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any("the label 'kind' is left out" in note for note in two.notes)


COLUMNS = [
    ([("UInt8", [1, 2]), ("Boolean", [True, False])], np.int16),
    ([("Int64", [1, -2])], np.int64),
    ([("UInt64", [1, 2])], np.float64),
    ([("Float32", [1.5, 2]), ("Int16", [1, 2])], np.float32),
    ([("Float32", [1.5, 2]), ("Int32", [1, 2])], np.float64),
    ([("Int8", [1, None])], np.float64),
]


@pytest.mark.parametrize(("columns", "dtype"), COLUMNS)
def test_columns_share_the_type_that_holds_them(tmp_path, columns, dtype):
    table = pl.DataFrame([pl.Series(t, v, dtype=getattr(pl, t)) for t, v in columns])
    table.write_parquet(tmp_path / "a.parquet")
    file, names = decode_parquet(str(tmp_path / "a.parquet"), Request())
    assert (file.dtype, names) == (dtype, tuple(t for t, _ in columns))
    wanted = table.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(file.read(0, 2), wanted)


def test_rows_with_missing_cells_are_dropped_on_request(tmp_path):
    x = ROWS.copy()
    x[[17, 400], [0, 2]] = np.nan, np.inf
    np.save(tmp_path / "a.npy", x)
    data, train = streamed(tmp_path / "a.npy", missing="drop-rows")
    assert any("dropped 2 of 600 rows" in note for note in data.notes)
    seen = {*train[:].index, *data.validation.index, *data.test.index}
    assert seen == set(range(600)) - {17, 400}
    assert np.isfinite(train[:].x).all()


def test_memory_does_not_grow_with_the_file(tmp_path):
    """A 300 MiB file is looked over and an epoch of it gathered within 150 MiB, window included."""
    block = np.random.default_rng(0).normal(size=(2560, 512)).astype(np.float32)
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2560 * 60, 512)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(60):
            file.write(block.data)
    script = f"""
import resource
from taut.data import Gatherer, load_data
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = used()
data = load_data({str(tmp_path / "a.npy")!r}, stream="yes")
gatherer = Gatherer(data.train, 128, 0)
for step in range(0, len(data.train) // 128 - 32, 32):
    gatherer.gather(step, 32)
print(used() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 150
