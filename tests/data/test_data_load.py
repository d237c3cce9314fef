"""`load_data` and `load_rows`: rows keep their numbers and labels; every bad wish is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits, load_iris

from taut.data import SOURCES, Schema, load_data, load_rows

TABLE = np.random.default_rng(0).normal(size=(50, 3))
IMAGES = np.random.default_rng(1).integers(0, 256, size=(50, 4, 3)).astype(np.uint8)


def parts(data):
    return data.train, data.validation, data.test


def test_digits_are_the_same_where_scikit_learn_keeps_its_file_elsewhere(monkeypatch):
    here = load_data("digits")
    monkeypatch.setattr("taut.data.sources.digits._FILE", Path("nowhere"))
    elsewhere = load_data("digits")
    np.testing.assert_array_equal(here.train.x, elsewhere.train.x)
    np.testing.assert_array_equal(here.train.label, elsewhere.train.label)


def test_digits_are_those_of_scikit_learn():
    data, bunch = load_data("digits"), load_digits()
    assert [len(part) for part in parts(data)] == [1437, 180, 180]
    for part in parts(data):
        np.testing.assert_array_equal(part.x * 16, bunch["images"][part.index])
        np.testing.assert_array_equal(part.label, bunch["target"][part.index])
        assert part.x.dtype == np.float32
        assert part.label.dtype == part.index.dtype == np.int32
    assert data.schema == Schema(
        name="digits",
        kind="image",
        shape=(8, 8),
        support="grey",
        levels=17,
        label_name="digit",
    )
    assert (data.source, data.notes) == ("digits", ())


def test_source_loads_the_same_again(tmp_path):
    np.save(tmp_path / "a.npy", TABLE)
    first = load_data(tmp_path / "a.npy", seed=5)
    second = load_data(first.source, seed=5)
    for one, other in zip(parts(first), parts(second), strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.index, other.index)
    assert first.schema == second.schema
    assert first.schema.name == "a"


def test_data_in_memory():
    data = load_data(TABLE, name="mine")
    assert (data.source, data.schema.name, data.schema.kind) == (None, "mine", "table")
    np.testing.assert_array_equal(data.test.x, TABLE[data.test.index].astype(np.float32))
    assert load_data(TABLE).schema.name == "data"


def test_jax_arrays():
    import jax.numpy as jnp

    assert load_data(jnp.asarray(IMAGES)).schema.levels == 256


def test_colour_images():
    data = load_data(np.random.default_rng(0).integers(0, 256, (30, 4, 5, 3)).astype(np.uint8))
    assert (data.schema.kind, data.schema.shape) == ("image", (4, 5, 3))


def test_flat_images_unfold_row_by_row():
    data = load_data(IMAGES.reshape(50, 12), image_shape=(4, 3))
    np.testing.assert_array_equal(data.train.x * 255, IMAGES[data.train.index])
    assert load_data(IMAGES, image_shape=[4, 3]).schema == data.schema


def test_table_columns_and_text_labels(tmp_path):
    frame = pl.DataFrame(
        {"a": TABLE[:, 0], "id": range(50), "y": ["no", "yes"] * 25, "b": TABLE[:, 1]}
    )
    frame.write_csv(tmp_path / "t.csv")
    for source in (frame, tmp_path / "t.csv"):
        data = load_data(source, label="y", drop="id", dtype=np.float64)
        assert data.schema.columns == ("a", "b")
        assert data.schema.classes == ("no", "yes")
        for part in parts(data):
            np.testing.assert_array_equal(part.label, part.index % 2)
            np.testing.assert_array_equal(part.x, TABLE[part.index, :2])


def test_real_labels_have_the_dtype_of_x():
    frame = pl.DataFrame({"a": TABLE[:, 0], "y": TABLE[:, 1]})
    assert load_data(frame, label="y").train.label.dtype == np.float32
    assert load_data(frame, label="y", dtype=np.float64).train.label.dtype == np.float64


class TestThreeParts:
    @pytest.fixture
    def files(self, tmp_path):
        def write(train="a,b,y\n", valid="b,y,a\n", test="a,b,y\n"):
            (tmp_path / "t.train.csv").write_text(train + "1,2,u\n3,4,v\n5,7,u\n")
            (tmp_path / "t.valid.csv").write_text(valid + "2,v,1\n4,u,3\n")
            (tmp_path / "t.test.csv").write_text(test + "9,8,u\n")
            return ",".join(str(tmp_path / f"t.{part}.csv") for part in ("train", "valid", "test"))

        return write

    def test_rows_and_order_are_kept(self, files):
        source = files()
        data = load_data(source, label="y")
        np.testing.assert_array_equal(data.train.x, [[1, 2], [3, 4], [5, 7]])
        np.testing.assert_array_equal(data.validation.x, [[1, 2], [3, 4]])
        np.testing.assert_array_equal(data.test.x, [[9, 8]])
        np.testing.assert_array_equal(data.validation.label, [1, 0])
        np.testing.assert_array_equal(data.validation.index, [3, 4])
        np.testing.assert_array_equal(data.test.index, [5])
        assert (data.schema.name, data.source) == ("t", source)

    def test_all_rows_of_all_parts(self, files):
        source = files()
        data = load_data(source, label="y")
        rows = load_rows(source, data.schema)
        np.testing.assert_array_equal(rows.index, np.arange(6))
        np.testing.assert_array_equal(rows.label, [0, 1, 0, 1, 0, 0])
        np.testing.assert_array_equal(rows.x, np.concatenate([part.x for part in parts(data)]))

    def test_arrays_and_keys_of_one_file(self, tmp_path):
        np.savez(tmp_path / "a.npz", train=IMAGES[:5], valid=IMAGES[5:9], test=IMAGES[9:12])
        data = load_data(",".join(f"{tmp_path}/a.npz:{key}" for key in ("train", "valid", "test")))
        same = load_data((IMAGES[:5], IMAGES[5:9], IMAGES[9:12]))
        for part, other in zip(parts(data), parts(same), strict=True):
            np.testing.assert_array_equal(part.x, other.x)
            np.testing.assert_array_equal(part.x * 255, IMAGES[part.index])

    def test_frames_in_memory(self):
        frames = (
            pl.DataFrame({"a": [1.5, 2.5], "b": [3.0, 4.0]}),
            pl.DataFrame({"b": [5.0], "a": [6.5]}),
            pl.DataFrame({"a": [7.5], "b": [8.0]}),
        )
        np.testing.assert_array_equal(load_data(frames).validation.x, [[6.5, 5.0]])

    def test_grid_and_classes_are_those_of_all_parts(self):
        data = load_data((IMAGES[:5] // 128 * 3, IMAGES[5:9] // 128 * 5, IMAGES[9:] // 128 * 9))
        assert data.schema.levels == 256
        small = tuple(np.full((2, 2, 2), top) for top in (3, 5, 9))
        assert load_data(small).schema.levels == 10

    def test_chosen_split(self, files, refusal):
        assert refusal(load_data, files(), label="y", split=(0.5, 0.25, 0.25)) == (
            "t.train.csv, split: expected no split, as the source is split already, "
            "got 0.5, 0.25, 0.25. Try leaving it out."
        )

    def test_missing_column(self, files, refusal):
        assert "t.valid.csv: expected the columns of the fitted data" in refusal(
            load_data, files(valid="bb,y,a\n"), label="y"
        )

    def test_unlike_shapes(self, refusal):
        assert refusal(load_data, (TABLE, TABLE[:, :2], TABLE)) == (
            "the second part: expected rows of shape (3,), as in the first part, got (2,). "
            "Try three parts of one data set."
        )

    def test_labels_in_one_part_only(self, tmp_path, refusal):
        np.save(tmp_path / "a.npy", np.arange(320.0).reshape(5, 8, 8))
        assert refusal(load_data, f"digits,{tmp_path}/a.npy,digits") == (
            "a.npy: expected labels as in digits, got none. Try three parts of one data set."
        )
        assert "a label nowhere" not in refusal(load_data, f"digits,{tmp_path}/a.npy,digits")

    def test_labels_in_a_later_part_only(self, tmp_path, refusal):
        np.save(tmp_path / "a.npy", np.arange(320.0).reshape(5, 8, 8))
        assert "digits: expected labels nowhere, as in " in refusal(
            load_data, f"{tmp_path}/a.npy,digits,digits"
        )

    @pytest.mark.parametrize("source", ["a.csv,b.csv", "a.csv,b.csv,c.csv,d.csv", "a.csv,,c.csv"])
    def test_not_three(self, refusal, source):
        message = refusal(load_data, source)
        assert message.startswith(f"{source}: expected three files, TRAIN,VALIDATION,TEST, got ")

    def test_part_that_is_split_already(self, mnist_folder, refusal):
        assert refusal(load_data, f"mnist:{mnist_folder},digits,digits").startswith("mnist:")
        assert "expected a file of one part, got a data set that is split already" in refusal(
            load_data, f"digits,mnist:{mnist_folder},digits"
        )


class TestRows:
    SCHEMA = Schema(
        name="t",
        kind="table",
        shape=(2,),
        support="real",
        columns=("a", "b"),
        label_name="y",
        classes=("no", "yes"),
    )

    def test_columns_by_name_with_or_without_labels(self):
        frame = pl.DataFrame({"b": [2.0], "text": ["x"], "y": ["yes"], "a": [1.0]})
        rows = load_rows(frame, self.SCHEMA)
        np.testing.assert_array_equal(rows.x, [[1, 2]])
        np.testing.assert_array_equal(rows.label, [1])
        assert load_rows(frame.drop("y"), self.SCHEMA).label is None

    def test_arrays_by_position(self):
        np.testing.assert_array_equal(load_rows(np.array([[1, 2]]), self.SCHEMA).x, [[1, 2]])

    def test_images_flat_or_with_one_channel(self):
        schema = load_data(IMAGES).schema
        for rows in (IMAGES, IMAGES.reshape(50, 12), IMAGES[..., None]):
            np.testing.assert_array_equal(load_rows(rows, schema).x * 255, IMAGES)
        channel = load_data(IMAGES[..., None]).schema
        assert load_rows(IMAGES, channel).x.shape == (50, 4, 3, 1)

    def test_other_labels_are_left_out(self):
        schema = load_data(load_digits()["images"]).schema
        assert load_rows("digits", schema).label is None

    def test_missing_column(self, refusal):
        assert refusal(load_rows, pl.DataFrame({"a": [1.0], "c": [2.0]}), self.SCHEMA) == (
            "data frame: expected the columns of the fitted data, 'a', 'b', got no column 'b' among "
            "'a', 'c'. Try renaming a, c."
        )

    @pytest.mark.parametrize("rows", [np.zeros((5, 3)), np.zeros((5, 1, 2))])
    def test_other_shape(self, refusal, rows):
        assert refusal(load_rows, rows, self.SCHEMA) == (
            f"array: expected rows of shape (2,), as in 't', got rows of shape {rows.shape[1:]}. "
            "Try data of the form that the model was fitted to."
        )

    def test_unknown_class(self, refusal):
        frame = pl.DataFrame({"a": [1.0], "b": [2.0], "y": ["yess"]})
        assert refusal(load_rows, frame, self.SCHEMA) == (
            "data frame, label 'y', row 0: expected a known class, got 'yess'. Try 'yes'."
        )

    def test_labels_of_another_kind(self, refusal):
        frame = pl.DataFrame({"a": [1.0], "b": [2.0], "y": [1]})
        assert refusal(load_rows, frame, self.SCHEMA) == (
            "data frame, label 'y', row 0: expected a known class, got '1'. Try no, yes."
        )


def test_labels_beyond_32_bits(refusal):
    frame = pl.DataFrame({"a": TABLE[:, 0], "y": np.arange(50) + 2**31})
    assert refusal(load_data, frame, label="y") == (
        "data frame, label 'y': expected whole numbers that fit 32 bits, got 2147483648 to "
        "2147483697. Try another label, or dropping the column (`drop`)."
    )


def test_no_rows_left_after_splitting(refusal):
    assert refusal(load_data, TABLE[:4]).startswith(
        "split: expected at least one row in every part, got parts of 4, 0, 0 out of 4 rows."
    )


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.5, 0.4, 0.2)])
def test_split_that_is_none(refusal, split):
    assert refusal(load_data, TABLE, split=split).startswith(
        "split: expected 3 positive shares that add up to 1, got 0.5, "
    )


@pytest.mark.parametrize("dtype", [np.int32, "float17", "float16"])
def test_dtype_that_is_none(refusal, dtype):
    assert refusal(load_data, TABLE, dtype=dtype).startswith("dtype: expected float32 or float64")


def test_image_shape_that_does_not_fit(refusal):
    for source, got in ((TABLE, "(3,)"), (IMAGES, "(4, 3)")):
        assert refusal(load_data, source, image_shape=(2, 2)) == (
            "array, image_shape: expected rows of 4 cells for images of shape (2, 2), "
            f"got rows of shape {got}. Try an image shape whose product is their length."
        )


@pytest.mark.parametrize(("source", "close"), [("digts", "'digits'"), ("x.wav", "a path that is")])
def test_unknown_source(refusal, source, close):
    message = refusal(load_data, source)
    assert message.startswith("source: expected one of: digits, mnist:FOLDER, ")
    assert f", got '{source}'. Try {close}" in message
    for entry in SOURCES:
        assert entry.form in message


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (None, "an array of its rows"),
        ({"a": [1.0, 2.0]}, "a data frame of it, such as polars.DataFrame(...)"),
        ([[1.0, 2.0], [3.0]], "rows of numbers, all of one length"),
        (SimpleNamespace(X=TABLE, obs_names=[]), "its .X"),
    ],
)
def test_objects_that_are_no_source(refusal, source, remedy):
    assert refusal(load_data, source) == (
        "source: expected the name of a source, an array, a data frame, or a tuple of three of "
        f"them, got a {type(source).__name__}. Try {remedy}."
    )


def test_what_is_to_be_tried_of_objects_that_are_no_source_works():
    annotated = SimpleNamespace(X=TABLE, obs_names=[])
    np.testing.assert_array_equal(load_data(annotated.X).train.x, load_data(TABLE).train.x)
    columns = {"a": [*range(30)], "b": [*range(30, 0, -1)]}
    assert load_data(pl.DataFrame(columns)).schema.columns == ("a", "b")


def test_nested_lists_are_arrays_and_three_arrays_in_a_list_are_parts():
    np.testing.assert_array_equal(load_data(TABLE.tolist()).train.x, load_data(TABLE).train.x)
    parts = load_data([TABLE[:30], TABLE[30:40], TABLE[40:]])
    assert [len(p) for p in parts.parts().values()] == [30, 10, len(TABLE) - 40]


def test_rows_come_with_their_labels(refusal):
    """As scikit-learn has them: a pair, or a bunch, with a frame or without."""
    labels = np.arange(len(TABLE)) % 3
    rows = load_data((TABLE, labels)).train
    np.testing.assert_array_equal(rows.label, labels[rows.index])
    for frame in (False, True):
        bunch = load_iris(as_frame=frame)
        rows = load_data(bunch).train
        np.testing.assert_array_equal(rows.label, np.asarray(bunch.target)[rows.index])
        assert rows.x.shape == (120, 4)
    assert "got 50 rows and labels of shape (50, 3)" in refusal(load_data, (TABLE, TABLE))


def test_columns_of_arrays_have_no_names(refusal):
    assert refusal(load_data, TABLE, label="y") == (
        "array: expected no label, as the source names none, got 'y'. "
        "Try a table with named columns."
    )


def test_path_and_string_are_one(tmp_path):
    (tmp_path / "a.b.csv").write_text("a,b\n" + "1.5,2\n2.5,3\n" * 10)
    one, other = load_data(tmp_path / "a.b.csv"), load_data(str(tmp_path / "a.b.csv"))
    assert one.source == other.source == str(Path(tmp_path / "a.b.csv"))
    assert one.schema.name == "a"


def test_file_whose_name_has_commas(tmp_path):
    (tmp_path / "a,b,c.csv").write_text("a,b\n" + "1.5,2\n2.5,3\n" * 10)
    assert len(load_data(tmp_path / "a,b,c.csv").train) == 16


@pytest.mark.parametrize(
    "name", ["t.xlsx", "T.XLS", "t.ods", "t.arrow", "t.feather", "t.json", "t.dta"]
)
def test_tables_of_other_programs_are_to_be_written_as_text(refusal, name):
    assert refusal(load_data, name) == (
        f"{name}: expected a table as text or Parquet, got one in a file {Path(name.lower()).suffix}. "
        f"Try writing it as {name[0]}.csv or .parquet, or in Python a data frame."
    )
