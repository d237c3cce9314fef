"""Missing cells that are modelled: NaN in the rows, False in their masks, and nothing else changed."""

import numpy as np
import polars as pl
import pytest

from taut.data import ColumnMoments, Data, StreamedRows, load_data, load_rows

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(400, 3)) * [1.0, 5.0, 0.1] + [0.0, 100.0, -3.0]
HOLES = np.where(RNG.random(TABLE.shape) < 0.2, np.nan, TABLE)


def _all(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Values and masks of all rows, in the order of the source."""
    parts = [data.train[:], data.validation, data.test]
    order = np.argsort(np.concatenate([part.index for part in parts]))
    masks = [np.ones(p.x.shape, bool) if p.mask is None else p.mask for p in parts]
    return np.concatenate([part.x for part in parts])[order], np.concatenate(masks)[order]


def _counts(folder, how) -> Data:
    whole = np.rint(np.abs(HOLES)).tolist()
    cells = [[None if np.isnan(v) else int(v) for v in row] for row in whole]
    frame = pl.DataFrame(cells, schema=dict.fromkeys("abc", pl.Int64), orient="row")
    if how == "frame":
        return load_data(frame)
    if how == "csv":
        frame.write_csv(folder / "a.csv")
        return load_data(folder / "a.csv")
    frame.write_parquet(folder / "a.parquet")
    return load_data(folder / "a.parquet", stream=how)


@pytest.mark.parametrize("stream", ["no", "yes"])
def test_rows_masks_and_moments_are_those_of_the_observed_cells(tmp_path, stream):
    np.save(tmp_path / "a.npy", HOLES)
    data = load_data(tmp_path / "a.npy", stream=stream, dtype="float64")
    x, mask = _all(data)
    np.testing.assert_array_equal(mask, ~np.isnan(HOLES))
    np.testing.assert_array_equal(x, HOLES)
    train = data.train[:].x
    np.testing.assert_allclose(data.schema.shift, np.nanmean(train, axis=0), rtol=1e-13)
    np.testing.assert_allclose(data.schema.scale, np.nanstd(train, axis=0), rtol=1e-12)
    missing = np.isnan(HOLES).sum()
    assert f"{missing} of 1,200 cells are missing" in " ".join(data.notes)
    assert data.schema.holes
    assert data.options.load().checksum == data.checksum


def test_a_stream_gives_a_mask_for_whatever_rows_are_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", HOLES)
    train = load_data(tmp_path / "a.npy", stream="yes").train
    assert isinstance(train, StreamedRows)
    asked = np.array([5, 2, 3, 4, 300])
    for rows in (train.take(asked), train.take(asked[:0]), train.sample(50), next(train.parts())):
        np.testing.assert_array_equal(rows.mask, ~np.isnan(HOLES[rows.index]))


@pytest.mark.parametrize("how", ["frame", "csv", "no", "yes"])
def test_whole_numbers_with_holes_are_counts(tmp_path, how):
    data = _counts(tmp_path, how)
    assert data.schema.support == "count"
    np.testing.assert_array_equal(_all(data)[0], np.rint(np.abs(HOLES)).astype(np.float32))


@pytest.mark.parametrize(
    ("binarize", "seen"), [("none", "grey"), ("static", "binary"), ("threshold", "binary")]
)
def test_pixels_may_be_missing(binarize, seen):
    whole = RNG.integers(0, 256, (60, 4, 4))
    images = np.where(RNG.random(whole.shape) < 0.2, np.nan, whole)
    data, full = (load_data(x, binarize=binarize) for x in (images, whole.astype(float)))
    x, mask = _all(data)
    assert data.schema.support == seen
    np.testing.assert_array_equal(mask, ~np.isnan(images))
    np.testing.assert_array_equal(x[mask], _all(full)[0][mask])
    assert np.isnan(x[~mask]).all()


def test_a_column_without_a_value_is_named_and_leaves_the_others_as_they_are():
    beside = np.column_stack([HOLES, np.full(len(HOLES), np.nan)])
    data, plain = load_data(pl.DataFrame(beside, schema=["a", "b", "c", "d"])), load_data(HOLES)
    assert "no training row has a value of column 'd'" in data.notes
    assert plain.schema.shift is not None
    assert data.schema.shift == (*plain.schema.shift, 0.0)
    assert data.schema.constants() == ()
    np.testing.assert_array_equal(data.train[:].x[:, :3], plain.train[:].x)


def test_codes_become_holes():
    coded = np.where(np.isnan(HOLES), -999.0, HOLES)
    np.testing.assert_array_equal(_all(load_data(coded, missing_codes=-999))[1], ~np.isnan(HOLES))
    coded[:, 0] = np.where(np.isnan(HOLES[:, 0]), 777.0, HOLES[:, 0])
    both = load_data(coded, missing_codes=(777, -999))
    np.testing.assert_array_equal(_all(both)[1], ~np.isnan(HOLES))
    whole = np.where(np.isnan(HOLES), -9, np.rint(np.abs(HOLES))).astype(int)
    data = load_data(whole, missing_codes=-9)
    assert data.schema.support == "count"
    np.testing.assert_array_equal(_all(data)[1], ~np.isnan(HOLES))


def test_grids_and_suspected_codes_are_those_of_the_observed_cells():
    x = np.rint(HOLES)
    x[:, 0] = HOLES[:, 0]
    x[np.flatnonzero(~np.isnan(x[:, 0]))[:9], 0] = -999.0
    data = load_data(x)
    assert data.schema.steps is not None
    assert data.schema.steps[1] == 1.0
    assert any("-999 occurs 9 times in column 0" in note for note in data.notes)


def test_infinite_cells_and_rows_without_a_label_are_still_refused(refusal):
    x = HOLES.copy()
    x[7, 0] = np.inf
    assert refusal(load_data, x) == (
        "array: expected a finite number or nothing in every cell, and a label for every row, got 1 "
        'infinite cell or empty label in 1 row, first row 7, column 0. Try missing_codes="inf", '
        'which reads it as missing, or missing="drop-rows".'
    )
    assert _all(load_data(x, missing_codes=np.inf))[1].sum() == (
        ~np.isnan(HOLES)
    ).sum() - np.isfinite(HOLES[7, 0])
    frame = pl.DataFrame({"a": HOLES[:, 0], "y": ["u", None] * 200})
    assert "first row 1, label 'y'" in refusal(load_data, frame, label="y")
    assert "at least one cell with a value" in refusal(load_data, np.full((9, 2), np.nan))


def test_other_rows_bring_their_own_mask():
    schema = load_data(TABLE).schema
    np.testing.assert_array_equal(load_rows(HOLES, schema).mask, ~np.isnan(HOLES))
    assert load_rows(TABLE, schema).mask is None


@pytest.mark.parametrize("height", [400, 37])
def test_moments_do_not_depend_on_how_the_rows_come(height):
    x = np.column_stack([HOLES, np.full(400, np.nan)])
    moments = ColumnMoments(4)
    for first in range(0, 400, height):
        moments.add(x[first : first + height])
    np.testing.assert_allclose(moments.mean[:3], np.nanmean(HOLES, axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.variance[:3], np.nanvar(HOLES, axis=0), rtol=1e-12)
    assert moments.counts.tolist() == (~np.isnan(x)).sum(axis=0).tolist()
    assert (moments.mean[3], moments.variance[3]) == (0.0, 0.0)
