"""A code of missing cells is known in whatever precision a source holds its numbers."""

import numpy as np
import polars as pl
import pytest

from taut.data import has_label, load_data, load_rows, target_of
from taut.data.coded_cells import coded

N, EMPTY = 80, 10
CASES = [
    (name, role) for name in ("frame", "mixed frame", "parquet") for role in ("label", "column")
]
CASES.append(("npz", "label"))  # whose target is an array of its own


def _source(name, code, dtype, folder):
    x = np.random.default_rng(0).standard_normal((N, 3))
    x[:EMPTY, 2] = x[5 : 5 + EMPTY, 0] = code
    x = x.astype(dtype)
    frame = pl.DataFrame(x, schema=["a", "b", "y"])
    if name == "frame":
        return frame
    if name == "mixed frame":
        return frame.with_columns(pl.col("b").cast(pl.Float64))
    if name == "parquet":
        frame.write_parquet(folder / "rows.parquet")
        return str(folder / "rows.parquet")
    np.savez(folder / "rows.npz", x=x[:, :2], y=x[:, 2])
    return str(folder / "rows.npz:x")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("code", [0.1, -999.1])
@pytest.mark.parametrize(("source", "role"), CASES)
def test_codes_of_columns_and_targets_are_those_that_the_source_rounds(
    source, code, dtype, role, tmp_path
):
    given = _source(source, code, dtype, tmp_path)
    data = load_data(given, target="y", target_as=role, missing_codes=code)
    again = load_rows(given, data.schema, missing_codes=code)
    for parts in ((data.train[:], data.validation, data.test), (again,)):
        assert sum(int((~has_label(np.asarray(target_of(part)))).sum()) for part in parts) == EMPTY
        assert sum(int(np.isnan(part.x[:, 0]).sum()) for part in parts) == EMPTY


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_code_that_a_type_rounds_to_zero_is_no_zero(dtype):
    found = coded(np.array([0.0, 1.0], dtype), [1e-60])
    assert found is None or not found.any()
