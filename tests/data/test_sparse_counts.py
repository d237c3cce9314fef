"""Sparse counts: in whatever file, they are the table they stand for, held without its zeros."""

import gzip
import sys
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse

from taut.data import load_data, load_rows, slabs
from taut.data.sources.raw_rows import Request
from taut.data.sources.registry import read_source
from taut.data.sparse_rows import SparseRows

COUNTS = np.random.default_rng(1).poisson(0.4, size=(40, 7)) * np.arange(1, 8)
MATRIX = scipy.sparse.csr_array(COUNTS)
GENES = [f"g{i}" for i in range(7)]


def _archive(folder, matrix=MATRIX):
    scipy.sparse.save_npz(folder / "a.npz", matrix)
    return folder / "a.npz"


def _parts(folder):
    parts = {"data": MATRIX.data, "indices": MATRIX.indices, "indptr": MATRIX.indptr}
    np.savez(folder / "a.npz", **parts, shape=MATRIX.shape)
    return folder / "a.npz"


def _market(folder, matrix=MATRIX):
    scipy.io.mmwrite(folder / "a.mtx", matrix)
    return folder / "a.mtx"


def _packed_market(folder):
    (folder / "a.mtx.gz").write_bytes(gzip.compress(_market(folder).read_bytes()))
    return folder / "a.mtx.gz"


def _text(group, name, values):
    group.create_dataset(name, data=values, dtype=h5py.string_dtype())


def _annotated(folder, matrix=MATRIX, layer=None):
    """By the format's description."""
    with h5py.File(folder / "a.h5ad", "w") as file:
        file.attrs["encoding-type"] = "anndata"
        for place, cells in (
            ("X", matrix),
            *((("layers/raw", layer),) if layer is not None else ()),
        ):
            if isinstance(cells, np.ndarray):
                file[place] = cells
                continue
            group = file.create_group(place)
            group.attrs["encoding-type"] = f"{cells.format}_matrix"
            group.attrs["shape"] = cells.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(cells, part)
        for name, index in (("var", GENES), ("obs", [f"c{i}" for i in range(40)])):
            table = file.create_group(name)
            table.attrs["_index"] = "names"
            _text(table, "names", index)
        kinds = file["obs"].create_group("kind")
        _text(kinds, "categories", ["B", "T"])
        kinds["codes"] = np.arange(40, dtype=np.int8) % 3 - 1
        file["obs"]["day"] = np.arange(40) % 4
        whole = file["obs"].create_group("batch")
        whole["values"], whole["mask"] = np.arange(40), np.arange(40) == 5
    return folder / "a.h5ad"


SOURCES = {
    **{f: lambda folder, f=f: _archive(folder, MATRIX.asformat(f)) for f in ("csr", "csc", "coo")},
    "real": lambda folder: _archive(folder, MATRIX.astype(np.float32)),
    "parts": _parts,
    "mtx": _market,
    "mtx.gz": _packed_market,
    "h5ad": _annotated,
    "h5ad, csc": lambda folder: _annotated(folder, MATRIX.tocsc()),
    "layer": lambda folder: f"{_annotated(folder, np.log1p(COUNTS), MATRIX)}:raw",
    "memory": lambda _: MATRIX,
    "coordinates": lambda _: MATRIX.tocoo(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_each_form_is_the_table_it_stands_for(tmp_path, source):
    found, dense = load_data(SOURCES[source](tmp_path), name="a"), load_data(COUNTS, name="a")
    assert found.schema.support == "count"
    assert found.schema.sparse
    assert found.checksum == dense.checksum
    if "h5ad" not in source and source != "layer":
        assert found.schema == dense.schema
    assert found.schema.constant == dense.schema.constant
    for held, made in zip(found.parts().values(), dense.parts().values(), strict=True):
        assert isinstance(held[:].cells, SparseRows)
        assert held[:].cells.matrix.dtype == np.uint8
        np.testing.assert_array_equal(held[:].x, made[:].x)
        np.testing.assert_array_equal(np.concatenate([p.x for p in held.parts()]), made[:].x)
        np.testing.assert_array_equal(held.numbers(np.arange(3)), made.numbers(np.arange(3)))


ROWS = (3, slice(2, 9), slice(None, None, 3), [5, 0, 5], np.arange(0), np.arange(40) % 3 == 0)


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows_are_taken_as_those_of_an_array(rows):
    cells = SparseRows.of(MATRIX).astype(np.float32)
    assert cells[rows].dtype == np.float32
    np.testing.assert_array_equal(cells[rows], COUNTS[rows])
    if not isinstance(rows, int):
        np.testing.assert_array_equal(np.asarray(cells.select(rows)), COUNTS[rows])


def test_zeros_that_are_stored_and_cells_that_are_twice_there_are_put_right():
    parts = np.array([1, 0, 2, 3]), (np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    matrix = scipy.sparse.coo_array(parts, shape=(2, 2))
    rows = SparseRows.of(matrix)
    assert rows.matrix.nnz == 2
    np.testing.assert_array_equal(rows[:], [[1, 0], [0, 5]])
    assert matrix.nnz == 4  # the caller's own


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        (lambda m: m * 0.5, {"support": "real"}),
        (lambda m: m, {"support": "real"}),
        (lambda m: m, {"image_shape": (7, 1)}),
        (lambda m: m > 0, {"binarize": "static"}),
        (lambda m: m, {"missing_codes": 2.0}),
        (lambda m: np.where(m == 6, np.nan, m), {}),
    ],
    ids=["fractions", "real", "images", "drawn", "codes", "holes"],
)
def test_what_is_no_table_of_counts_is_made_dense_and_read_as_one(change, asked):
    table = change(COUNTS)
    found, dense = load_data(scipy.sparse.csr_array(table), **asked), load_data(table, **asked)
    assert found.schema == dense.schema
    assert not found.schema.sparse
    for one, two in zip(found.parts().values(), dense.parts().values(), strict=True):
        np.testing.assert_array_equal(one[:].x, two[:].x)
        np.testing.assert_array_equal(one[:].mask, two[:].mask)


def _observed(matrix):
    names, cells = pd.Index(GENES), pd.DataFrame(index=[f"c{i}" for i in range(40)])
    return SimpleNamespace(X=matrix, obs=cells, var=None, var_names=names, obsm={})


def _named_market(folder, matrix):
    (folder / "features.tsv").write_text("\n".join(GENES))
    (folder / "barcodes.tsv").write_text("\n".join(f"c{i}" for i in range(40)))
    return _market(folder, matrix.T)


BOTH = [_annotated, _market, _named_market, lambda _, matrix: _observed(matrix)]


@pytest.mark.parametrize("write", BOTH, ids=["h5ad", "mtx", "genes by cells", "AnnData"])
@pytest.mark.parametrize("asked", [{}, {"missing_codes": 6.0}, {"drop": ("g1",)}], ids=str)
def test_whole_numbers_are_counts_whether_a_format_holds_them_sparse_or_dense(
    tmp_path, write, asked
):
    if asked.get("drop") and write is _market:
        asked = {"image_shape": (7, 1)}
    table = COUNTS.astype(np.float32)
    sparse = load_data(write(tmp_path, scipy.sparse.csr_array(table)), name="a", **asked)
    dense = load_data(write(tmp_path, table), name="a", **asked)
    assert dense.schema == replace(sparse.schema, sparse=False)
    assert dense.schema.support == ("grey" if "image_shape" in asked else "count")
    for held, made in zip(sparse.parts().values(), dense.parts().values(), strict=True):
        np.testing.assert_array_equal(held[:].x, made[:].x)


@pytest.mark.parametrize("write", BOTH, ids=["h5ad", "mtx", "genes by cells", "AnnData"])
def test_a_dense_matrix_of_a_fraction_is_one_of_real_numbers(tmp_path, write):
    table = COUNTS.astype(np.float32)
    table[33, 4] = 0.5
    assert load_data(write(tmp_path, table)).schema.support == "real"
    assert load_data(write(tmp_path, COUNTS - 1.0)).schema.support == "real"


def test_zeros_and_ones_are_binary_and_sparse():
    data = load_data(MATRIX > 0)
    assert (data.schema.support, data.schema.sparse) == ("binary", True)
    np.testing.assert_array_equal(data.test.x, COUNTS[data.test.index] > 0)


def test_more_rows_stay_sparse_and_are_refused_by_their_place(refusal, tmp_path):
    data = load_data(MATRIX, name="a")
    more = load_rows(_market(tmp_path), data.schema)
    assert isinstance(more.cells, SparseRows)
    np.testing.assert_array_equal(more.x, COUNTS)
    three = load_rows((MATRIX[:9], MATRIX[9:20], MATRIX[20:]), data.schema)
    assert isinstance(three.cells, SparseRows)
    np.testing.assert_array_equal(three.x, COUNTS)
    np.testing.assert_array_equal(load_rows(COUNTS, data.schema).x, COUNTS)
    sparse = load_rows(MATRIX, load_data(COUNTS - 0.5).schema)
    assert isinstance(sparse.cells, np.ndarray)
    large = scipy.sparse.csr_array(([2**24 + 1], ([4], [2])), shape=(40, 7))
    assert refusal(load_rows, large, data.schema) == (
        "sparse matrix, row 4, column 2: expected a number that float32 holds, got 1.67772e+07. "
        'Try precision="float64".'
    )


@pytest.mark.parametrize(
    ("cell", "got"),
    [(-3.0, "-3"), (0.25, "0.25"), (1e30, "1e+30")],
    ids=["negative", "fraction", "far"],
)
@pytest.mark.parametrize("write", [_archive, _market, _annotated])
def test_what_is_no_count_is_refused_by_file_and_place(tmp_path, refusal, write, cell, got):
    table = COUNTS.astype(float)
    table[33, 4] = cell
    message = refusal(load_data, write(tmp_path, scipy.sparse.csr_array(table)))
    column = "column 'g4'" if write is _annotated else "column 4"
    assert message.split(": ", 1)[1] == (
        "expected whole numbers that are not negative, as sparse tables hold counts, "
        f'got {got}. Try the counts as they were before they were scaled, or support="real".'
    )
    assert message.startswith(("a.npz", "a.mtx", "a.h5ad"))
    assert f"row 33, {column}: " in message


@pytest.mark.parametrize("write", [_archive, _parts, _market, _annotated])
def test_files_that_are_cut_short_or_are_something_else(tmp_path, refusal, write):
    path = write(tmp_path)
    content = path.read_bytes()
    for some in (content[: len(content) // 2], b"gene,cell\n1,2\n", b"\x89HDF\r\n\x1a\n"):
        path.write_bytes(some)
        message = refusal(load_data, path)
        assert message.startswith(f"{path.name}: expected a")
    path.write_bytes(b"")
    assert "expected a file with content, got an empty file" in refusal(load_data, path)


def test_indices_out_of_the_matrix_are_refused_before_they_are_followed(tmp_path, refusal):
    for write in (_archive, _annotated):
        wrong = MATRIX.copy()
        wrong.indices[3] = 700
        assert "damaged, cut short or of another format" in refusal(
            load_data, write(tmp_path, wrong)
        )


def test_complex_matrices_and_tables_of_matrix_market(tmp_path, refusal):
    assert "got complex numbers" in refusal(load_data, _market(tmp_path, MATRIX * 1j))
    data = load_data(_market(tmp_path, COUNTS.astype(float)))
    np.testing.assert_array_equal(data.test.x, COUNTS[data.test.index])


@pytest.mark.parametrize("packed", [False, True])
def test_genes_by_cells_with_their_names_beside_them_are_read_by_the_cell(tmp_path, packed):
    _market(tmp_path, MATRIX.T)
    for name, lines in (
        ("features.tsv", [f"{g}\tname\tGene" for g in GENES]),
        ("barcodes.tsv", [f"c{i}" for i in range(40)]),
    ):
        text = "\n".join(lines).encode()
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(
            gzip.compress(text) if packed else text
        )
    data = load_data(tmp_path / "a.mtx", drop=("g2",))
    assert data.schema.columns == tuple(g for g in GENES if g != "g2")
    np.testing.assert_array_equal(data.test.x, np.delete(COUNTS, 2, axis=1)[data.test.index])
    assert "40 barcodes lie beside it, so that its columns are read as the rows" in data.notes[0]
    assert load_rows(tmp_path / "a.mtx", data.schema).x.shape == (40, 6)


class TestAnnotated:
    def test_names_and_labels(self, tmp_path):
        data = load_data(_annotated(tmp_path), label="kind", missing="drop-rows")
        assert data.schema.columns == tuple(GENES)
        assert data.schema.classes == ("B", "T")
        kinds = np.array(["", "B", "T"])[np.arange(40) % 3]
        known = np.flatnonzero(kinds != "")
        assert len(data.train) + len(data.validation) + len(data.test) == len(known)
        labels = np.array(["B", "T"])[data.test.label]
        np.testing.assert_array_equal(labels, kinds[data.test.index])
        assert "dropped" in " ".join(data.notes)
        days = load_data(_annotated(tmp_path), label="day")
        np.testing.assert_array_equal(days.test.label, days.test.index % 4)
        (rows,) = read_source(_annotated(tmp_path), Request(label="batch"))
        np.testing.assert_array_equal(rows.labels, np.where(np.arange(40) == 5, np.nan, range(40)))

    def test_columns_are_found_by_name(self, tmp_path):
        path = _annotated(tmp_path)
        kept = load_data(path, drop=("g0", "g3")).schema
        backwards = Request(keep=kept.columns[::-1], rows_only=True)
        (rows,) = read_source(path, backwards)
        np.testing.assert_array_equal(np.asarray(rows.values), COUNTS[:, [6, 5, 4, 2, 1]])

    def test_what_is_not_there(self, tmp_path, refusal):
        path = _annotated(tmp_path)
        assert refusal(load_data, f"{path}:raw") == (
            "a.h5ad: expected no layer, as the file has none, got 'raw'. Try a.h5ad."
        )
        assert refusal(load_data, path, label="kinds") == (
            "a.h5ad: expected a label among batch, day, kind, got 'kinds'. Try 'kind'."
        )
        path = _annotated(tmp_path, layer=MATRIX)
        assert refusal(load_data, f"{path}:ram") == (
            "a.h5ad: expected a layer among raw, got 'ram'. Try a.h5ad:'raw'."
        )

    def test_without_its_reader(self, tmp_path, refusal, monkeypatch):
        path = _annotated(tmp_path)
        monkeypatch.setitem(sys.modules, "h5py", None)
        assert refusal(load_data, path) == (
            "a.h5ad: expected h5py, which reads .h5ad files, got none installed. "
            "Try `pip install 'taut[anndata]'`."
        )


@pytest.mark.parametrize("columns", [400, 1600])
def test_memory_goes_with_what_is_stored_and_not_with_the_table(columns, tmp_path, monkeypatch):
    """A dense copy is 400 or 1,600 times 8 KiB in float32; 20,000 cells are stored in either."""
    monkeypatch.setattr(slabs, "_CELLS", 2**12)
    generator = np.random.default_rng(0)
    places = generator.integers(0, 2000, 20_000), generator.integers(0, columns, 20_000)
    matrix = scipy.sparse.coo_array((np.ones(20_000, np.int32), places), shape=(2000, columns))
    path = _archive(tmp_path, matrix.tocsr() * 3)
    load_data(path)
    tracemalloc.start()
    try:
        load_data(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 20_000 + 300 * columns
