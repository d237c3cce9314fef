"""Pictures of rows on a page: categories by their names."""

import numpy as np
import polars as pl

import taut
from taut.report.html.rows import _codes


def test_categories_are_named_beside_their_codes():
    rng = np.random.default_rng(0)
    town = np.take(["Ulm", "Bonn & Co", "A" * 40], rng.integers(0, 3, 60))
    data = taut.load_data(pl.DataFrame({"x": rng.normal(size=60), "town": town}))
    assert _codes(data.schema, 0) == ""
    assert data.schema.categories[1] == ("A" * 40, "Bonn & Co", "Ulm")
    assert _codes(data.schema, 1) == f"; 0 {'A' * 24}, 1 Bonn & Co, 2 Ulm"
