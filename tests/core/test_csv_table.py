"""Tables as CSV, read back by Polars: the same numbers to the last bit, and the same texts."""

import numpy as np
import polars as pl
import pytest

from taut.core import write_csv

EDGES = [0.0, -0.0, 1.0, -7.0, 0.1, 1e-5, 1e16, 2.0**53 + 2, np.inf, -np.inf]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_come_back_to_the_last_bit(tmp_path, dtype):
    limits = np.finfo(dtype)
    draws = np.random.default_rng(0).integers(0, 2 ** (limits.bits - 1), 2000)
    any_bits = draws.astype(f"u{limits.bits // 8}").view(dtype)
    x = np.concatenate([np.array([*EDGES, limits.max, limits.smallest_subnormal], dtype), any_bits])
    x = np.concatenate([x, x[::2]])  # numbers that occur twice
    path = write_csv(tmp_path / "a.csv", {"x": x})
    found = pl.read_csv(path, schema={"x": pl.String})["x"].to_list()
    assert [text == "NaN" for text in found] == np.isnan(x).tolist()
    known = ~np.isnan(x)
    bits = f"u{x.itemsize}"
    again = np.array(found)[known].astype(dtype)
    assert again.view(bits).tolist() == x[known].view(bits).tolist()
    digits = [sum(map(str.isdigit, text.split("e")[0])) for text in np.array(found)[known]]
    assert max(digits[len(EDGES) :]) <= (9 if dtype == np.float32 else 17) + len("0.000")


def test_other_cells(tmp_path):
    columns = {
        "whole": np.array([1, -2, 3]),
        "sure": np.array([True, False, True]),
        "maybe": [True, None, 2],
        "a, b": ['say "x"', "two\nlines", "é, ü"],
        "text": np.array(["x", "", "y"]),
    }
    path = write_csv(tmp_path / "a.csv", columns)
    assert path.read_text() == (
        'whole,sure,maybe,"a, b",text\n1,true,true,"say ""x""",x\n'
        '-2,false,,"two\nlines",\n3,true,2,"é, ü",y\n'
    )


def test_whole_numbers_as_such(tmp_path):
    x = np.array([70.0, 2.5, np.nan, -0.0, np.inf, 1e15], np.float32)
    path = write_csv(
        tmp_path / "a.csv", {"x": x, "y": [1.0, None, 0.5, 3, 4, 5]}, whole_as_such=True
    )
    lines = path.read_text().split()
    assert lines == ["x,y", "70,1", "2.5,", "NaN,0.5", "0,3", "inf,4", "999999986991104,5"]


def test_columns_of_one_length(tmp_path):
    with pytest.raises(ValueError, match="is shorter"):
        write_csv(tmp_path / "a.csv", {"x": [1, 2], "y": [1]})
    assert not (tmp_path / "a.csv").exists()
