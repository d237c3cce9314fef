"""Missing cells: refused with their number and places, or their rows dropped."""

import numpy as np
import polars as pl
import pytest

from taut.data import load_data, load_rows

TABLE = np.random.default_rng(0).normal(size=(40, 3))
HOLES = TABLE.copy()
HOLES[3, 1], HOLES[3, 2], HOLES[7, 0], HOLES[20, 0] = np.nan, np.inf, -np.inf, np.nan


def test_refused_with_places(refusal):
    assert refusal(load_data, HOLES, missing="refuse") == (
        "array: expected a finite number in every cell and a label for every row, got 4 missing or "
        "infinite cells in 3 rows, first row 3, column 1; row 3, column 2; row 7, column 0. "
        'Try missing="drop-rows".'
    )


def test_places_in_a_file_are_lines_and_names(tmp_path, refusal):
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,u\n\n3,NA,v\n5,6,\n")
    assert (
        "got 2 missing or infinite cells in 2 rows, first line 4, column 'b'; line 5, label 'y'."
        in refusal(load_data, tmp_path / "t.csv", label="y", missing="refuse")
    )


def test_places_in_images_are_pixels(refusal):
    images = np.zeros((5, 2, 3))
    images[4, 1, 2] = np.nan
    assert "1 missing or infinite cell in 1 row, first row 4, pixel (1, 2)." in refusal(
        load_data, images, missing="refuse"
    )


def test_dropped_rows_leave_the_numbers_of_the_others():
    data = load_data(HOLES, missing="drop-rows")
    index = np.concatenate([part.index for part in (data.train[:], data.validation, data.test)])
    assert sorted(index.tolist()) == sorted(set(range(40)) - {3, 7, 20})
    np.testing.assert_array_equal(data.test.x, TABLE[data.test.index].astype(np.float32))
    assert data.notes == ("array: dropped 3 of 40 rows, which have missing cells",)


@pytest.mark.parametrize("labels", [["u", None, "v"] * 10, [1.5, None, 2.5] * 10])
def test_rows_without_a_label_are_dropped(labels):
    frame = pl.DataFrame({"a": np.arange(30.0), "y": labels})
    data = load_data(frame, label="y", missing="drop-rows")
    assert sum(map(len, (data.train, data.validation, data.test))) == 20


def test_rows_for_a_schema(refusal):
    schema = load_data(TABLE).schema
    assert 'Try missing="drop-rows".' in refusal(load_rows, HOLES, schema, missing="refuse")
    rows = load_rows(HOLES, schema, missing="drop-rows")
    np.testing.assert_array_equal(rows.index, sorted(set(range(40)) - {3, 7, 20}))


def test_no_row_left(refusal):
    assert refusal(load_data, np.full((5, 2), np.nan), missing="drop-rows") == (
        "array: expected at least one row without missing cells, got none of 5. "
        "Try dropping the columns that are mostly missing (`drop`)."
    )


def test_unknown_treatment(refusal):
    assert refusal(load_data, TABLE, missing="drop") == (
        "missing: expected one of model, refuse, drop-rows, got 'drop'. Try 'drop-rows'."
    )


def _arrays(folder):
    return HOLES[:14], HOLES[14:27], HOLES[27:]


def _files(folder):
    for name, part in zip("abc", _arrays(folder), strict=True):
        pl.DataFrame(part, schema=["x", "y", "z"]).write_csv(folder / f"{name}.csv")
    return ",".join(str(folder / f"{name}.csv") for name in "abc")


def _array(folder):
    return HOLES


@pytest.mark.parametrize("form", [_array, _arrays, _files])
def test_a_row_has_its_own_number_by_whichever_door_it_comes(form, tmp_path):
    """Also behind rows that were dropped from the part before."""
    source = form(tmp_path)
    data = load_data(source, missing="drop-rows", dtype="float64")
    every = load_rows(source, data.schema, missing="drop-rows")
    parts = (data.train[:], data.validation, data.test)
    for rows in (every, *parts):
        np.testing.assert_allclose(rows.x, HOLES[rows.index], rtol=1e-12)
    assert every.index.tolist() == sorted(i for part in parts for i in part.index)
    assert len(every) == 37
