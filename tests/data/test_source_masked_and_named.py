"""Masked arrays keep their mask, and frames may name their columns by anything."""

import numpy as np
import pandas as pd
import pytest

import taut
from taut.core import InputError
from taut.data import load_data, load_rows

X = np.random.default_rng(0).normal(size=(50, 3))
MASKED = np.ma.masked_values(np.where(X > 1, -999.0, X), -999.0)


@pytest.mark.parametrize(
    "rows",
    [
        MASKED,
        np.ma.masked_equal(np.arange(150).reshape(50, 3) % 7, 3),
        MASKED.astype(np.float32),
    ],
    ids=["reals", "whole numbers", "float32"],
)
def test_what_is_masked_is_missing(rows):
    masked = np.ma.getmaskarray(rows)
    with pytest.raises(InputError, match=f"got {masked.sum()} missing or infinite cells"):
        load_data(rows, missing="refuse")
    np.testing.assert_array_equal(load_data(rows).test.mask, ~masked[load_data(rows).test.index])
    data = load_data(rows, missing="drop-rows")
    whole = np.flatnonzero(~masked.any(axis=1))
    found = np.concatenate([part.index for part in (data.train, data.validation, data.test)])
    assert sorted(found.tolist()) == whole.tolist()
    np.testing.assert_allclose(
        data.train.x, np.ma.getdata(rows)[data.train.index], rtol=np.finfo(np.float32).eps
    )


def test_a_mask_that_hides_nothing_changes_nothing():
    rows = np.ma.MaskedArray(X, mask=False)
    np.testing.assert_array_equal(load_data(rows).train.x, load_data(X).train.x)


def test_masked_rows_are_encoded_by_what_is_observed():
    fitted = taut.em(X, components=2)
    found = fitted.encode(MASKED)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, fitted.encode(np.where(MASKED.mask, np.nan, X)))
    assert np.abs(found - fitted.encode(X)).max() > 0.01


@pytest.mark.parametrize(
    "names", [None, [10, 20, 30], ["a", 1, 2.5], [("a", 1), ("a", 2), ("b", 1)]], ids=str
)
def test_columns_go_by_what_their_names_read_as(names):
    frame = pd.DataFrame(X, columns=names)
    data = load_data(frame)
    assert data.schema.columns == tuple(map(str, frame.columns))
    np.testing.assert_array_equal(data.train.x, load_data(X).train.x)
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(load_rows(turned, data.schema).x, X.astype(np.float32))
    fitted = taut.em(data, components=1)
    np.testing.assert_array_equal(fitted.encode(turned), fitted.encode(frame))


@pytest.mark.parametrize("names", [["a", "a", "b"], [1, "1", "b"]])
def test_two_columns_of_one_name_are_refused(names):
    with pytest.raises(InputError, match="columns with different names"):
        load_data(pd.DataFrame(X, columns=names))


def test_names_of_several_levels_are_joined():
    frame = pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "")]))
    data = load_data(frame)
    assert data.schema.columns == ("a.x", "a.y", "b")
    np.testing.assert_array_equal(data.train.x, load_data(X).train.x)


def test_sparse_columns_are_those_they_stand_for():
    counts = (X[:, :2] > 1).astype(int)
    frame = pd.DataFrame({"n": pd.arrays.SparseArray(counts[:, 0]), "m": counts[:, 1]})
    np.testing.assert_array_equal(load_data(frame).train.x, load_data(counts).train.x)
