"""`.npy`, `.npz`, MATLAB and IDX files: what was written is what is read, and damage is refused."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from taut.core import InputError
from taut.data import load_data
from taut.data.sources import Request, read_source

TABLE = np.random.default_rng(0).normal(size=(30, 4))


def only(source, request=Request()):  # noqa: B008 - a NamedTuple without mutable parts
    (rows,) = read_source(str(source), request)
    return rows


@pytest.mark.parametrize(
    "array",
    [
        TABLE,
        TABLE.astype(">f4"),
        np.asfortranarray(TABLE),
        TABLE.astype(np.float16),
        np.arange(120, dtype=np.uint16).reshape(10, 3, 4),
        np.zeros((5, 2, 2, 3), bool),
    ],
)
def test_npy(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    values = only(tmp_path / "a.npy").values
    np.testing.assert_array_equal(values, array)
    assert values.dtype.isnative
    assert values.dtype != np.float16


def test_npy_packed(tmp_path):
    with gzip.open(tmp_path / "a.npy.gz", "wb") as file:
        np.save(file, TABLE)
    np.testing.assert_array_equal(only(tmp_path / "a.npy.gz").values, TABLE)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.array([["a", "b"]]), "text (dtype <U1)"),
        (np.ones((2, 2), complex), "complex numbers (dtype complex128)"),
        (np.zeros((2, 2), "M8[D]"), "dates or durations (dtype datetime64[D])"),
        (np.zeros((2, 2), [("a", "f4")]), "records (dtype [('a', '<f4')])"),
        (np.arange(5), "rank 1, shape (5,)"),
        (np.zeros((1,) * 5), "rank 5, shape (1, 1, 1, 1, 1)"),
        (np.zeros((9, 3, 32, 32)), "shape (9, 3, 32, 32), which looks like channels first"),
        (np.zeros((0, 4)), "shape (0, 4)"),
    ],
)
def test_arrays_that_are_no_rows(tmp_path, refusal, array, got):
    np.save(tmp_path / "a.npy", array)
    message = refusal(only, tmp_path / "a.npy")
    assert message.startswith("a.npy: expected ")
    assert f", got {got}. Try " in message


def test_pickled_objects_are_not_run(tmp_path, refusal):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    np.savez(tmp_path / "b.npz", a=np.array([[{}]]))
    for name in ("a.npy", "b.npz"):
        assert refusal(only, tmp_path / name) == (
            f"{name}: expected an array of numbers, got an array of Python objects, which only "
            "running code from the file could read. Try saving it again as numbers."
        )


@pytest.mark.parametrize(("kind", "magic"), [("npy", b"\x93NUMPY"), ("npz", b"PK")])
def test_other_content_under_a_numpy_ending(tmp_path, refusal, kind, magic):
    (tmp_path / f"a.{kind}").write_text("1,2\n3,4\n")
    assert refusal(only, tmp_path / f"a.{kind}") == (
        f"a.{kind}: expected a .{kind} file, which begins with {magic!r}, got one that begins with "
        f"{b'1,2.3,4'[: len(magic)].replace(b'.', bytes([10]))!r}. "
        "Try writing it with NumPy, or the ending that belongs to its format."
    )


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_files_cut_short(tmp_path, refusal, idx_bytes):
    np.save(tmp_path / "a.npy", TABLE)
    np.savez(tmp_path / "b.npz", x=TABLE)
    scipy.io.savemat(tmp_path / "c.mat", {"x": TABLE})
    (tmp_path / "d-idx3-ubyte").write_bytes(idx_bytes(np.zeros((3, 4, 5))))
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 500))
    for name in ("a.npy", "b.npz", "c.mat", "e.csv.gz"):
        cut(tmp_path / name)
        assert "damaged" in refusal(only, tmp_path / name)
    cut(tmp_path / "d-idx3-ubyte")
    assert refusal(only, tmp_path / "d-idx3-ubyte") == (
        "d-idx3-ubyte: expected 76 bytes for an array of shape (3, 4, 5), got 38 bytes. "
        "Try fetching it again."
    )


def test_damage_inside_a_packed_array(tmp_path, refusal):
    np.savez_compressed(tmp_path / "a.npz", x=TABLE)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "a.npz").write_bytes(content)
    assert "a.npz: expected a whole .npz file, got one that is damaged" in refusal(
        only, tmp_path / "a.npz"
    )


def test_file_that_is_missing_here(tmp_path, refusal, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(only, Path("q.npy")).endswith("Try one of the files in this folder.")


def test_file_that_is_missing_empty_or_a_folder(tmp_path, refusal):
    (tmp_path / "empty.npy").touch()
    (tmp_path / "folder.npy").mkdir()
    assert refusal(only, tmp_path / "empty.npy") == (
        "empty.npy: expected a file with content, got an empty file. Try writing it again."
    )
    assert refusal(only, tmp_path / "empti.npy") == (
        "empti.npy: expected a file, got nothing of that name. Try 'empty.npy'."
    )
    assert refusal(only, tmp_path / "q.npy").endswith("Try one of the files in FOLDER.")
    assert refusal(only, tmp_path / "no" / "q.npy").endswith(
        "Try another folder, as no is not there either."
    )
    assert refusal(only, tmp_path / "folder.npy") == (
        "folder.npy: expected a file, got a folder. Try one of the files in folder.npy."
    )


class TestNamedArrays:
    @pytest.fixture(params=["npz", "mat"])
    def several(self, request, tmp_path):
        arrays = {"first": TABLE, "second": TABLE[:, :2], "kind": np.arange(30)}
        path = tmp_path / f"several.{request.param}"
        if request.param == "npz":
            np.savez(path, **arrays)
        else:
            scipy.io.savemat(path, arrays)
        return path

    def test_key(self, several):
        np.testing.assert_array_equal(only(f"{several}:second").values, TABLE[:, :2])

    def test_label_is_another_array(self, several):
        rows = only(f"{several}:first", Request(label="kind"))
        np.testing.assert_array_equal(rows.values, TABLE)
        np.testing.assert_array_equal(rows.labels, np.arange(30))
        assert rows.label_name == "kind"

    def test_no_key(self, several, refusal):
        assert refusal(only, several) == (
            f"{several.name}: expected one array, got 3: first, second, kind. "
            f"Try {several.name}:first."
        )

    def test_unknown_key(self, several, refusal):
        assert refusal(only, f"{several}:secnd") == (
            f"{several.name}: expected an array among first, kind, second, got 'secnd'. "
            "Try 'second'."
        )

    def test_unknown_label(self, several, refusal):
        assert "expected a label among" in refusal(only, f"{several}:first", Request(label="knd"))

    def test_label_of_another_length(self, several, refusal):
        assert refusal(only, f"{several}:first", Request(label="second")) == (
            f"{several.name}:second: expected 30 labels, numbers or text, one for each row, got a "
            "float64 array of shape (30, 2). Try another label."
        )

    def test_dropped_column(self, several, refusal):
        assert refusal(only, f"{several}:first", Request(drop=("a",))) == (
            f"{several.name}: expected no columns to drop, as the source names none, got drop a. "
            "Try a table with named columns."
        )


def test_one_array_besides_the_label_needs_no_key(tmp_path):
    np.savez(tmp_path / "a.npz", x=TABLE, y=np.arange(30))
    np.testing.assert_array_equal(only(tmp_path / "a.npz", Request(label="y")).values, TABLE)


def test_archive_without_arrays(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "a.npz", "w"):
        pass
    assert refusal(only, tmp_path / "a.npz") == (
        "a.npz: expected one array, got none. Try a.npz:NAME."
    )


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_matrix_is_read_as_the_table_it_stands_for(tmp_path, form):
    counts = np.random.default_rng(1).poisson(0.3, size=(40, 7))
    matrix = scipy.sparse.csr_array(counts).asformat(form)
    scipy.sparse.save_npz(tmp_path / "counts.npz", matrix)
    np.testing.assert_array_equal(only(tmp_path / "counts.npz").values, counts)


class TestMatlab:
    def test_amat_that_is_matlab_inside(self, tmp_path):
        scipy.io.savemat(tmp_path / "a.amat", {"X": np.eye(12, dtype=np.uint8)}, appendmat=False)
        rows = only(tmp_path / "a.amat")
        np.testing.assert_array_equal(rows.values, np.eye(12))
        assert load_data(tmp_path / "a.amat").schema.support == "binary"

    def test_one_that_is_cut_anywhere(self, tmp_path, refusal):
        path = tmp_path / "a.mat"
        scipy.io.savemat(path, {"X": np.eye(3)})
        content = path.read_bytes()
        # Within the header of 128 bytes at two places, and at every few bytes of what comes after it.
        for length in (1, 60, *range(120, len(content) - 8, 17)):
            path.write_bytes(content[:length])
            assert "a.mat: expected" in refusal(only, path), length

    def test_amat_that_is_text(self, tmp_path):
        (tmp_path / "a.amat").write_text("0 1 1\n1 0 0\n")
        np.testing.assert_array_equal(only(tmp_path / "a.amat").values, [[0, 1, 1], [1, 0, 0]])

    def test_amat_that_is_missing(self, tmp_path, refusal):
        assert "a.amat: expected a file, got nothing of that name." in refusal(
            only, tmp_path / "a.amat"
        )

    def test_cells_and_text_are_passed_over(self, tmp_path):
        names = np.array(["a", "bb"], dtype=object)
        scipy.io.savemat(tmp_path / "a.mat", {"names": names, "title": "t", "x": TABLE})
        rows = only(tmp_path / "a.mat")
        np.testing.assert_array_equal(rows.values, TABLE)
        told = [note.split("a.mat: ")[1] for note in rows.notes]
        assert told == ["left out 'names', a cell array", "left out 'title', text"]

    def test_a_single_number_is_not_taken_for_the_data(self, tmp_path, refusal):
        cells = np.empty(2, dtype=object)
        cells[:] = [TABLE, TABLE]
        scipy.io.savemat(tmp_path / "a.mat", {"data": cells, "rate": 44100.0})
        assert refusal(only, tmp_path / "a.mat") == (
            "a.mat: expected an array of numbers, got a cell array, 'data'. "
            "Try cell2mat in MATLAB, saved beside it."
        )
        assert "got a cell array, 'data'" in refusal(only, f"{tmp_path / 'a.mat'}:data")
        scipy.io.savemat(tmp_path / "b.mat", {"x": TABLE, "rate": 44100.0, "n": 3})
        rows = only(tmp_path / "b.mat")
        np.testing.assert_array_equal(rows.values, TABLE)
        assert [n.split(": ")[1] for n in rows.notes] == [
            "left out 'rate', a single number", "left out 'n', a single number",
        ]  # fmt: skip
        scipy.io.savemat(tmp_path / "c.mat", {"s": {"x": TABLE}})
        assert "got a structure, 's'" in refusal(only, tmp_path / "c.mat")

    def test_sparse(self, tmp_path):
        counts = np.random.default_rng(1).poisson(0.3, size=(40, 7)).astype(float)
        scipy.io.savemat(tmp_path / "a.mat", {"x": scipy.sparse.csc_array(counts)})
        np.testing.assert_array_equal(only(tmp_path / "a.mat").values, counts)

    def test_complex_array(self, tmp_path, refusal):
        scipy.io.savemat(tmp_path / "a.mat", {"x": TABLE + 1j})
        assert "a.mat:x: expected an array of booleans, whole or real numbers" in refusal(
            only, tmp_path / "a.mat"
        )

    def test_version_7_3(self, tmp_path, refusal):
        header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        (tmp_path / "a.mat").write_bytes(header + b"\x89HDF\r\n\x1a\n" * 40)
        assert refusal(only, tmp_path / "a.mat") == (
            "a.mat: expected a MATLAB file of version 5 to 7, got version 7.3, which is HDF5. "
            "Try save(file, '-v7') in MATLAB, or h5py and np.save in Python."
        )

    @pytest.mark.parametrize("start", [0, 512])
    def test_hdf5_with_and_without_a_header(self, tmp_path, refusal, start):
        content = b"MATLAB 7.3 MAT-file".ljust(start)[:start] + b"\x89HDF\r\n\x1a\n" + bytes(2000)
        (tmp_path / "a.mat").write_bytes(content)
        assert "got version 7.3, which is HDF5." in refusal(only, tmp_path / "a.mat")

    def test_other_content(self, tmp_path, refusal):
        (tmp_path / "a.mat").write_bytes(bytes(range(256)) * 4)
        assert "a.mat: expected a whole MATLAB file, got one that is" in refusal(
            only, tmp_path / "a.mat"
        )


class TestIdx:
    def test_rows(self, tmp_path, idx_bytes):
        array = np.random.default_rng(2).integers(0, 256, size=(6, 5, 4))
        (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(array)))
        rows = only(tmp_path / "a-idx3-ubyte.gz")
        np.testing.assert_array_equal(rows.values, array)
        assert rows.values.dtype == np.uint8

    def test_other_types_are_big_endian(self, tmp_path):
        array = np.array([[1.5, -2.0], [3e10, 0.0]])
        header = bytes([0, 0, 0x0E, 2, 0, 0, 0, 2, 0, 0, 0, 2])
        (tmp_path / "a-idx2-double").write_bytes(header + array.astype(">f8").tobytes())
        np.testing.assert_array_equal(only(tmp_path / "a-idx2-double").values, array)

    @pytest.mark.parametrize("magic", [b"\x01\0\x08\x03", b"\0\0\x07\x03", b"\0\0\x08\x00", b"\0"])
    def test_wrong_magic_number(self, tmp_path, refusal, magic):
        (tmp_path / "a-idx3-ubyte").write_bytes(magic)
        assert refusal(only, tmp_path / "a-idx3-ubyte") == (
            "a-idx3-ubyte: expected an IDX file, which begins with two zero bytes, a type code and "
            f"a rank, got one that begins with {magic.hex(' ')}. Try fetching it again."
        )

    def test_header_cut_short(self, tmp_path, refusal):
        (tmp_path / "a-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\x02\0\0")
        assert refusal(only, tmp_path / "a-idx3-ubyte") == (
            "a-idx3-ubyte: expected a header of 16 bytes, got 10 bytes. Try fetching it again."
        )


class TestMnist:
    def test_parts_and_labels(self, mnist_folder):
        data = load_data(f"mnist:{mnist_folder}")
        assert [len(part) for part in (data.train, data.validation, data.test)] == [50, 10, 10]
        assert (data.schema.name, data.schema.shape, data.schema.levels) == ("mnist", (4, 3), 256)
        for part, first in ((data.train, 0), (data.validation, 0), (data.test, 60)):
            numbers = np.rint(part.x[:, 0, 0] * 255).astype(int)
            np.testing.assert_array_equal(part.index, numbers + first)
            np.testing.assert_array_equal(part.label, numbers % 10)
        assert sorted([*data.train.index, *data.validation.index]) == list(range(60))

    def test_chosen_split_divides_the_training_files(self, mnist_folder):
        data = load_data(f"mnist:{mnist_folder}", split=(0.6, 0.2, 0.2))
        assert [len(part) for part in (data.train, data.validation, data.test)] == [45, 15, 10]

    def test_packed_files_with_dots(self, mnist_folder):
        for file in list(mnist_folder.iterdir()):
            name = file.name.replace("s-idx", "s.idx") + ".gz"
            (mnist_folder / name).write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
        assert len(load_data(f"mnist:{mnist_folder}").test) == 10

    def test_no_folder(self, refusal):
        assert refusal(load_data, "mnist:nowhere") == (
            "mnist:nowhere: expected a folder with the four idx files, got no folder 'nowhere'. "
            "Try mnist:FOLDER with train-images-idx3-ubyte.gz and the other three in it."
        )

    def test_missing_file(self, mnist_folder, refusal):
        (mnist_folder / "t10k-labels-idx1-ubyte").unlink()
        assert refusal(load_data, f"mnist:{mnist_folder}") == (
            "small: expected the file t10k-labels-idx1-ubyte, or t10k-labels-idx1-ubyte.gz, "
            "got neither. Try fetching it into the folder."
        )

    def test_labels_of_other_rows(self, mnist_folder, refusal):
        labels = mnist_folder / "t10k-labels-idx1-ubyte"
        labels.write_bytes((mnist_folder / "train-labels-idx1-ubyte").read_bytes())
        assert refusal(load_data, f"mnist:{mnist_folder}").startswith(
            "small/t10k-labels-idx1-ubyte: expected 10 labels"
        )

    def test_unknown_label(self, mnist_folder, refusal):
        assert "expected a label among digit, got 'digt'. Try 'digit'." in refusal(
            load_data, f"mnist:{mnist_folder}", label="digt"
        )


def test_a_file_that_ends_its_reader_is_damaged(tmp_path, monkeypatch):
    """What a fault in compiled code does to the process that reads is done by a signal here."""
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.eye(20)})
    assert load_data(str(path)).train.x.shape[1] == 20
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr("taut.data.sources.matlab._READ", killed)
    with pytest.raises(InputError, match="a whole MATLAB file, got one that is damaged"):
        load_data(str(path))
